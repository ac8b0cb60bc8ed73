"""Records to values, and what cannot be read."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest

from services.handoff.core.answers import parse_answer
from services.handoff.core.state import parse_state
from services.handoff.incoming import FirstStart, read_answer, read_states
from shared.clock import EPOCH, to_rfc3339
from shared.errors import InvalidMessage
from shared.kafka.records import Record
from tests.unit.handoff.builders import LEAD, body, day

NEVER = FirstStart(day(0), {})
HANDOFF = "8a0b4c1e-4d0f-5f59-9a35-0a5b1f2a6a11"


def record(
    value: bytes | None, offset: int = 0, headers: Sequence[tuple[str, bytes]] = (), key: bytes | None = LEAD.encode()
) -> Record:
    return Record("lead-scores", 0, offset, 0, key, value, headers)


def published(at: float = 0, **more: Any) -> bytes:
    return orjson.dumps(body(52, at, **more))


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"null",
        b"{}",
        published(version=0),
        published(lead_id=""),
        published(models=None),
        published(models={"test": {"score": "high"}}),
        published(evaluated_at="2026-11-01T00:00:00"),
        published(evaluated_at="soon"),
        published(merged_from=[1]),
        published().replace(b"52", b"NaN"),
    ],
)
def test_what_is_no_state(value: bytes) -> None:
    with pytest.raises(InvalidMessage) as caught:
        parse_state(value)
    assert "taro" not in str(caught.value)
    assert len(read_states([record(value)], NEVER).letters) == 1


def test_unknown_fields_are_left_alone_and_missing_ones_have_defaults() -> None:
    few = {name: body(52)[name] for name in ("lead_id", "version", "models", "evaluated_at")}
    state = parse_state(orjson.dumps({**few, "new_field": 1}))
    assert (state.cause, state.merged_from, state.quiet) == ("activity", [], False)
    assert state.model_name(None) == "test"
    assert state.model_name("other") is None


def test_another_key_or_type_is_put_aside_and_tombstones_say_nothing() -> None:
    records = [
        record(published(), key=b"other"),
        record(published(), headers=[("ce_type", b"lead.merged.v1")]),
        record(None, headers=[("merged_into", b"other")]),
        record(published(), headers=[("ce_type", b"lead.score-changed.v1")]),
    ]
    incoming = read_states(records, NEVER)
    assert (len(incoming.states), len(incoming.letters)) == (1, 2)


def test_an_erased_lead_ends_and_a_merged_one_waits_for_its_survivor() -> None:
    ended = read_states([record(published()), record(None), record(published())], NEVER)
    assert (ended.ended, ended.states) == ({LEAD}, []), "nobody is told of it any more"
    assert read_states([record(None, headers=[("merged_into", b"other")])], NEVER).ended == set()


def test_silence_by_header_by_flag_and_from_before_the_first_start() -> None:
    first = FirstStart(day(0), {0: 5})
    grace = timedelta(minutes=10) / timedelta(days=1)
    cases = [
        (record(published(), headers=[("silent", b"true")]), True),
        (record(published(), headers=[("silent", b"false")]), False),
        (record(published(-1), offset=4), True),
        (record(published(-1), offset=5), False),
        (record(published(-grace), offset=4), False),
        (record(published(-grace - 0.0001), offset=4), True),
    ]
    incoming = read_states([item for item, _ in cases], first)
    assert [arrived.silent for arrived in incoming.states] == [silent for _, silent in cases]
    assert parse_state(published(silent=True)).quiet
    assert parse_state(published(cause="repair")).quiet


@pytest.mark.parametrize(
    "answer",
    [
        {"outcome": "accepted"},
        {"handoff_id": HANDOFF},
        {"handoff_id": "x", "outcome": "accepted"},
        {"handoff_id": HANDOFF, "outcome": "assigned"},
        {"handoff_id": HANDOFF, "outcome": "recycled"},
        {"handoff_id": HANDOFF, "outcome": "rejected", "reason": "  "},
        {"handoff_id": HANDOFF, "outcome": "accepted", "at": "2026-11-20T10:00:00"},
        {"handoff_id": HANDOFF, "outcome": "accepted", "at": 5},
        {"handoff_id": HANDOFF, "outcome": "accepted", "resaon": "x"},
        {"handoff_id": HANDOFF, "outcome": "accepted", "by": "a\x00"},
        [],
    ],
)
def test_what_is_no_answer(answer: Any) -> None:
    with pytest.raises(InvalidMessage):
        parse_answer(orjson.dumps(answer))


def test_an_answer_asks_for_a_step() -> None:
    raw = {"handoff_id": HANDOFF, "outcome": "recycled", "reason": " later ", "until": "2027-01-30T09:00:00+09:00"}
    answer = read_answer(record(orjson.dumps(raw)), day(1))
    step = answer.step(by="topic", now=day(1))
    assert (step.state, step.at, step.by, step.reason, step.until) == ("recycled", day(1), "topic", "later", day(90))
    with pytest.raises(InvalidMessage, match="no value"):
        read_answer(record(None), day(1))


ENDS = ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"]


@pytest.mark.parametrize("field", ["at", "until"])
@pytest.mark.parametrize("instant", ENDS)
def test_an_answer_at_an_end_of_the_calendar_is_none(field: str, instant: str) -> None:
    raw = {"handoff_id": HANDOFF, "outcome": "recycled", "reason": "later", field: instant}
    with pytest.raises(InvalidMessage, match=f"^/{field}: expected an instant from 1970 to "):
        read_answer(record(orjson.dumps(raw)), day(1))


def test_clocks_may_be_a_little_ahead_and_leads_may_rest_for_long() -> None:
    def untimely(**instants: datetime) -> list[str]:
        texts = {name: to_rfc3339(instant) for name, instant in instants.items()}
        raw = {"handoff_id": HANDOFF, "outcome": "recycled", "reason": "later", **texts}
        return [fault.pointer for fault in parse_answer(orjson.dumps(raw)).untimely(day(1))]

    century, second = timedelta(days=36_525), timedelta(seconds=1)
    assert untimely(at=day(1) + timedelta(minutes=5), until=day(1) + century) == []
    assert untimely(at=EPOCH, until=EPOCH) == []
    assert untimely(at=day(1) + timedelta(minutes=5) + second, until=day(1) + century + second) == ["/until", "/at"]
