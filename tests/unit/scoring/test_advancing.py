"""What came for leads folded into them, here and in a helper's hands: the same rows, the same records."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from services.scoring.advancing import (
    Advanced,
    Arrival,
    advance_all,
    advance_packed,
    pack_arrivals,
    unpack_advanced,
)
from services.scoring.core.compile import compile_model
from services.scoring.core.entries import points_entry
from services.scoring.core.evaluation import ManualPoints
from services.scoring.core.lead import LeadState, LiveModel, Models
from services.scoring.core.loader import model_from
from services.scoring.lead_row import LeadRow, new_row
from shared.activity import SILENT, Activity, parse_posted, to_record
from shared.clock import to_rfc3339
from shared.documents import read_document
from shared.identity import ANONYMOUS, EMAIL, Identifier

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
TARO = Identifier(EMAIL, "taro@example.co.jp")
LEAD = "00000000-0000-8000-8000-000000000001"
SHIPPED: dict[str, Any] = read_document(Path("config/scoring.yaml").read_text(encoding="utf-8")).tree
SIGNAL = {"id": "wanted", "activity": "document_downloaded"}
MODELS = Models((LiveModel(SHIPPED["model"], 1, compile_model(model_from({**SHIPPED, "signals": [SIGNAL]}))),))


def download(id_: str, days: float = 3, **more: Any) -> Activity:
    raw = {
        "id": id_,
        "type": "document_downloaded",
        "occurred_at": to_rfc3339(NOW - timedelta(days=days)),
        "lead": {"email": "taro@example.co.jp", "phone": "090-1234-5678"},
        "attributes": {"company": "株式会社サンプル"},
        "properties": {"document": id_},
        **more,
    }
    return parse_posted(raw, id_if_absent="", source_if_absent="test", received_at=NOW, region="JP")


def known() -> LeadRow:
    """A lead with one activity, three days old."""
    (lead,) = advance_all(MODELS, [Arrival(new_row(LEAD), [download("d1")], [TARO])], NOW)
    return lead.row


def copies(arrivals: list[Arrival]) -> list[Arrival]:
    return [replace(one, row=replace(one.row)) for one in arrivals]


def elsewhere(arrivals: list[Arrival]) -> list[Advanced]:
    bodies = {
        (one.source, one.id): orjson.dumps(to_record(one)).decode()
        for arrival in arrivals
        for one in arrival.activities
    }
    return unpack_advanced(advance_packed(MODELS, pack_arrivals(arrivals, bodies), NOW))


def test_a_helper_makes_of_arrivals_what_is_made_of_them_here() -> None:
    given = points_entry("p1", LEAD, NOW, ManualPoints(700, NOW, "sato", "met at a fair"))
    scanned = download("s1", 0.5, type="email_clicked", properties={"bot_signals": ["machine_click"]})
    silent = download("d4", 1)
    silent.flags = (*silent.flags, SILENT)
    arrivals = [
        Arrival(new_row(LEAD), [download("d1"), download("d2", 2)], [TARO]),
        Arrival(new_row(LEAD), [download("d1")], [TARO], [given]),
        Arrival(known(), [download("d2", 2), scanned]),
        Arrival(known(), [download("d3", 1)], [Identifier(ANONYMOUS, "b1")]),
        Arrival(known(), [silent]),
        Arrival(known(), [download("late", 5)]),
        Arrival(known(), [download("d5", 1)], (), [given]),
    ]
    here, there = advance_all(MODELS, copies(arrivals), NOW), elsewhere(copies(arrivals))
    assert there == here
    assert [one.row.version for one in here] == [1, 1, 2, 2, 2, 1, 1]
    assert [one.row.score for one in here[:2]] == [10, 12]
    assert set(here[2].unpaid) == {("test", "s1")}
    assert [one.again for one in here[5:]] == [[TARO]] * 2
    assert not any(one.published for one in here[5:])


def test_a_lead_for_which_what_came_is_not_enough_is_left_as_it_was() -> None:
    before = known()
    (lead,) = advance_all(MODELS, [Arrival(replace(before), [download("late", 5)])], NOW)
    assert lead.row == before
    assert lead.again is not None
    assert not lead.taken_back


def test_the_records_tell_of_signals_and_of_history() -> None:
    silent = download("d4", 1)
    silent.flags = (*silent.flags, SILENT)
    for activity, signals, is_silent in ((download("d2", 2), ["wanted"], False), (silent, ["wanted"], True)):
        (lead,) = elsewhere([Arrival(known(), [activity])])
        body = orjson.loads(lead.published[0].value or b"")
        assert (body["signals"], body["silent"], body["cause"]) == (signals, is_silent, "activity")
        assert [one["id"] for one in body["signal_activities"]] == [activity.id]
        assert LeadState.unpack(lead.row.state).profile.count == 2


@pytest.mark.parametrize(
    ("types", "cause"),
    [
        (["profile_updated"], "attributes"),
        (["profile_updated"] * 2, "attributes"),
        (["profile_updated", "page_viewed"], "activity"),
        (["page_viewed"], "activity"),
    ],
)
def test_attributes_are_the_cause_where_nothing_else_was_told(types: list[str], cause: str) -> None:
    told = [download(f"n{number}", 1 - number / 10, type=name) for number, name in enumerate(types)]
    (lead,) = elsewhere([Arrival(known(), told)])
    assert orjson.loads(lead.published[0].value or b"")["cause"] == cause


def late_ids(lead: Advanced) -> list[str]:
    body = orjson.loads(lead.published[0].value or b"")
    assert len(body["recent_activities"]) <= 10
    shown = {one["id"] for one in body["recent_activities"]}
    late = body.get("late_activities", [])
    assert shown.isdisjoint(one["id"] for one in late)
    assert all(one.keys() == {"id", "source", "type", "occurred_at"} for one in late)
    return [one["id"] for one in late]


def test_what_comes_with_more_than_ten_later_ones_is_told_beside_them() -> None:
    many = [download(f"d{number}", 3 - number / 100) for number in range(2, 15)]
    machines = download("d2", 2.98, type="email_clicked", properties={"bot_signals": ["machine_click"]})
    for arrival, expected in (
        (Arrival(known(), many[:10]), []),
        (Arrival(known(), many), ["d4", "d3", "d2"]),
        (Arrival(known(), [machines, *many[1:]]), ["d4", "d3"]),
        (Arrival(new_row(LEAD), [download("d1"), *many], [TARO]), ["d4", "d3", "d2", "d1"]),
    ):
        (here,), (there,) = advance_all(MODELS, copies([arrival]), NOW), elsewhere(copies([arrival]))
        assert late_ids(here) == late_ids(there) == expected


def test_so_many_that_a_record_has_room_for_are_told_the_latest_of_them() -> None:
    crowd = [download(f"d{number:03}", 3 - number / 1000) for number in range(2, 400)]
    (lead,) = advance_all(MODELS, [Arrival(known(), crowd)], NOW)
    assert late_ids(lead) == [f"d{number:03}" for number in range(389, 289, -1)]
