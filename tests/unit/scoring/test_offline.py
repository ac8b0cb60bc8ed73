"""The engine on the contents of files."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from services.scoring.core.model import ModelFaults
from services.scoring.offline import FileFaults, Text, score_texts

AT = datetime(2026, 11, 20, tzinfo=UTC)
MODEL = Text(
    "model.yaml",
    b"""
model: m
engagement:
  rules:
    - {id: viewed, activity: page_viewed, points: 1.5, repeat: every}
fit:
  rules:
    - {id: maker, points: 10, all: [{field: attributes.industry, equals: maker}]}
""",
)


def lines(*activities: dict[str, Any]) -> Text:
    return Text("activities.ndjson", b"\n".join(map(orjson.dumps, activities)))


def viewed(id: str, occurred_at: str = "2026-11-01T09:00:00+09:00", **lead: Any) -> dict[str, Any]:  # noqa: A002
    return {"id": id, "type": "page_viewed", "occurred_at": occurred_at, "lead": lead}


def scored(activities: Text, leads: Text | None = None) -> list[Any]:
    return [orjson.loads(one.to_json()) for one in score_texts(MODEL, activities, leads, AT)]


def test_one_line_per_lead_sorted_by_its_name() -> None:
    got = scored(
        lines(
            viewed("1", email="Ｔａｒｏ@Example.com"),
            viewed("2", anonymous_id="b1"),
            viewed("3", external_ids={"crm": "7"}),
            viewed("4", phone="090-1234-5678"),
            viewed("5", email="info@example.com"),
        )
    )
    assert [one["lead"] for one in got] == ["+819012345678", "b1", "crm:7", "info@example.com", "taro@example.com"]
    first = {"lead": "b1", "score": 1.5, "engagement": 1.5, "fit": 0.0, "grade": "D", "level": "4", "stage": None}
    assert got[1] == first | {"cell": "D4", "coverage": 0.0, "reasons": [{"rule": "viewed", "points": 1.5, "count": 1}]}


def test_numbers_are_printed_with_two_decimals() -> None:
    (line,) = score_texts(MODEL, lines(viewed("1", anonymous_id="b1")), None, AT)
    assert b'"score":1.50,"engagement":1.50,"fit":0.00' in line.to_json()


def test_identifiers_join_a_lead_and_a_repeated_line_counts_once() -> None:
    got = scored(
        lines(
            viewed("1", anonymous_id="b1"),
            viewed("1", anonymous_id="b1"),
            viewed("2", anonymous_id="b1", email="a@example.com"),
        )
    )
    assert [(one["lead"], one["score"]) for one in got] == [("a@example.com", 3.0)]


def test_what_happens_after_the_instant_is_not_there_yet() -> None:
    late = "2026-11-20T00:00:00.000001Z"
    got = scored(
        lines(viewed("1", "2026-11-20T09:00:00+09:00", anonymous_id="now"), viewed("2", late, anonymous_id="x"))
    )
    assert [one["lead"] for one in got] == ["now"]


def test_known_attributes_hold_from_the_beginning() -> None:
    known = Text("leads.ndjson", b'{"lead": "A@example.com", "attributes": {"industry": "maker"}}\n')
    overruled = viewed("2", email="b@example.com") | {"attributes": {"industry": "shop"}}
    activities = lines(viewed("1", email="a@example.com"), overruled)
    both = Text("leads.ndjson", known.body + known.body.replace(b"A@", b"b@"))
    assert [(one["lead"], one["fit"]) for one in scored(activities, both)] == [
        ("a@example.com", 10.0),
        ("b@example.com", 0.0),
    ]


@pytest.mark.parametrize("empty", [b"null", b'""'])
def test_an_empty_attribute_does_not_take_a_known_one_away(empty: bytes) -> None:
    known = b'{"lead": "a@example.com", "attributes": {"industry": "maker"}}\n'
    nothing = known.replace(b'"maker"', empty)
    activities = lines(viewed("1", email="a@example.com", external_ids={"crm": "7"}))
    for body in (known + nothing, nothing + known, known.replace(b"a@example.com", b"crm:7") + nothing):
        assert [one["fit"] for one in scored(activities, Text("leads.ndjson", body))] == [10.0]


def test_every_faulty_line_is_named() -> None:
    body = (
        b'{"type": "page_viewed", "lead": {}}\n\n{"id": "2", "type": "Bad", "lead": {"anonymous_id": "x"}, "x": 1}\n{\n'
    )
    with pytest.raises(FileFaults) as caught:
        score_texts(MODEL, Text("a.ndjson", body), None, AT)
    places = [message.split(" ")[0] for message in caught.value.messages]
    assert places == ["a.ndjson:1:", "a.ndjson:3:", "a.ndjson:4:"]
    assert "/id: is missing" in caught.value.messages[0]
    with pytest.raises(FileFaults, match=r"l\.ndjson:1: /attributes"):
        score_texts(MODEL, lines(), Text("l.ndjson", b'{"lead": "x"}'), AT)


def test_a_faulty_model_is_refused_whole() -> None:
    with pytest.raises(ModelFaults, match=r"m\.yaml:3: engagement\.max: "):
        score_texts(Text("m.yaml", b"model: m\nengagement:\n  max: -1\n"), lines(), None, AT)
    with pytest.raises(FileFaults, match="UTF-8"):
        score_texts(Text("m.yaml", "model: 部長".encode("cp932")), lines(), None, AT)
