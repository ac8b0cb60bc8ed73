"""What became of leads, read from a file and from the topic."""

import orjson
import pytest

from services.scoring.offline import FileFaults, Text
from services.scoring.outcomes import _of_record, read_outcomes
from shared.clock import from_micros, from_rfc3339

ENDS = ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59.999999Z"]
RECORDED_MS = 1_700_000_000_000


@pytest.mark.parametrize("end", ENDS)
def test_an_instant_at_an_end_of_the_calendar_is_refused_in_a_file(end: str) -> None:
    line = orjson.dumps({"lead": "taro@example.co.jp", "outcome": "converted", "at": end})
    with pytest.raises(FileFaults, match="/at"):
        read_outcomes(Text("outcomes.ndjson", line))


@pytest.mark.parametrize("end", [*ENDS, "2026-11-20T10:00:00Z"])
def test_on_the_topic_it_counts_from_when_it_was_told(end: str) -> None:
    body = {"lead_id": "a", "outcome": "converted", "at": end}
    outcome = _of_record(orjson.dumps(body), RECORDED_MS)
    assert outcome is not None
    assert outcome.at == (from_rfc3339(end) if end.startswith("2026") else from_micros(RECORDED_MS * 1_000))
