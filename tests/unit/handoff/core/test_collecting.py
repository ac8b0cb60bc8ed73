"""Runs: which are due, who is handed over, what stands in the rows."""

import csv
import io
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.handoff.core.collecting import collect, is_hot
from services.handoff.core.due_runs import due_runs, hot_list
from services.handoff.core.handoff import Handoff, Step
from services.handoff.core.rows import COLUMNS, cells
from services.handoff.core.rules import Rule, load_rules
from services.handoff.core.states import IllegalStepError
from shared.spreadsheet import header, lines
from tests.unit.handoff.builders import body, day, rule, state
from tests.unit.handoff.room import Room

WEEKLY = """
queues: {desk: {respond_within: 4h}}
rules:
  - id: weekly
    enter: 50
    leave: 45
    to: desk
    when: {every: "FRI 09:00", timezone: Asia/Tokyo, missed: MISSED}
"""
LATE = timedelta(minutes=5)
FRIDAY = day(5)  # 09:00 on Friday 6 November 2026 in Tokyo


def weekly(missed: str = "run_once") -> Rule:
    return load_rules(WEEKLY.replace("MISSED", missed)).rules()[0]


def due(of: Rule, start: datetime, now: datetime) -> list[tuple[str, str]]:
    assert of.timetable is not None
    return [(one.key, one.state) for one in due_runs(of, of.timetable.between(start, now), now, LATE)]


def test_a_punctual_run_is_made_whatever_is_said_of_missed_ones() -> None:
    for missed in ("run_once", "skip"):
        assert due(weekly(missed), FRIDAY, FRIDAY + timedelta(minutes=4)) == [("weekly/2026-11-06T09:00", "running")]
    assert due(weekly(), FRIDAY - timedelta(days=1), FRIDAY) == []


def test_of_missed_runs_the_last_one_is_made_or_none() -> None:
    keys = [f"weekly/2026-11-{number:02}T09:00" for number in (6, 13, 20)]
    found = due(weekly(), FRIDAY, FRIDAY + timedelta(days=15))
    assert found == [(keys[0], "missed"), (keys[1], "missed"), (keys[2], "running")]
    found = due(weekly("skip"), FRIDAY, FRIDAY + timedelta(days=15))
    assert found == [(key, "missed") for key in keys]
    found = due(weekly("skip"), FRIDAY, FRIDAY + timedelta(days=14, minutes=1))
    assert found == [(keys[0], "missed"), (keys[1], "missed"), (keys[2], "running")]


def test_the_same_run_and_the_same_list_have_the_same_id() -> None:
    of = weekly()
    assert of.timetable is not None
    runs = of.timetable.between(FRIDAY, FRIDAY + timedelta(minutes=1))
    (one,), (again,) = due_runs(of, runs, FRIDAY, LATE), due_runs(of, runs, FRIDAY + LATE, LATE)
    assert one.id == again.id
    assert hot_list(of, "k", day(1)).id == hot_list(of, "k", day(2)).id != hot_list(of, "l", day(1)).id


def test_the_next_run_is_known_by_heart() -> None:
    timetable = weekly().timetable
    assert timetable is not None
    for at in (day(0), FRIDAY - timedelta(microseconds=1)):
        run = timetable.after(at)
        assert run is not None
        assert run.at == FRIDAY
    following = timetable.after(FRIDAY)
    assert following is not None
    assert following.at == FRIDAY + timedelta(days=7)
    far = timetable.after(day(10_000))
    assert far is not None
    assert far.at > day(10_000)


def waiting() -> Room:
    room = Room(weekly(), now=day(1))
    for lead, score in (("a", 52), ("b", 60), ("c", 55)):
        room.take(lead, score, 1)
    return room


def test_a_crossing_waits_for_its_run_and_is_no_record_yet() -> None:
    room = waiting()
    handoff = next(iter(room.ledger.handoffs.values()))
    assert (handoff.state, handoff.mode, handoff.handed_over_at) == ("qualified", "scheduled", None)
    assert handoff.expires_at == FRIDAY + timedelta(days=90)
    assert (handoff.respond_by, handoff.due_at) == (None, None)
    assert room.ledger.published == []
    with pytest.raises(IllegalStepError, match="not handed over yet"):
        room.ledger.answer(handoff.id, Step("accepted", day(2), "sato"), day(2))


def test_the_run_hands_over_who_is_still_at_leave_and_lets_the_others_lapse() -> None:
    room, of = waiting(), weekly()
    of_lead = {handoff.lead_id: handoff for handoff in room.ledger.handoffs.values()}
    states = {of_lead["a"].id: state(45, 2), of_lead["b"].id: state(44.99, 2), of_lead["c"].id: None}
    run = hot_list(of, "k", FRIDAY)
    collected = collect(room.ledger, of, run, list(of_lead.values()), states, FRIDAY)
    assert [handoff.lead_id for handoff, _ in collected.handed_over] == ["a"]
    assert (collected.lapsed, collected.left) == (2, 0)
    after = {handoff.lead_id: handoff for handoff in room.ledger.handoffs.values()}
    assert [after[lead].state for lead in "abc"] == ["qualified", "lapsed", "lapsed"]
    assert (after["a"].handed_over_at, after["a"].respond_by) == (FRIDAY, FRIDAY + timedelta(hours=4))
    assert room.types() == ["lead.qualified.v1", "lead.handoff-outcome.v1", "lead.handoff-outcome.v1"]
    body = orjson.loads(room.ledger.published[0].value or b"")
    assert (body["score"], body["handoff"]["mode"], body["handoff"]["extraction"]) == (45.0, "scheduled", run.id)
    reasons = [line.step.reason for line in room.ledger.history[-2:]]
    assert reasons == ["cooled before the run", "the lead is no longer there"]


def test_under_a_model_that_was_renamed_the_run_hands_over_all_the_same() -> None:
    room, of = waiting(), weekly()
    (first, *_) = handoffs = list(room.ledger.handoffs.values())
    renamed = {**body(52, 2)["models"]["test"], "version": 1}
    states = {one.id: state(52, 2, primary="new", models={"new": renamed}) for one in handoffs}
    collected = collect(room.ledger, of, hot_list(of, "k", FRIDAY), handoffs, states, FRIDAY)
    assert (len(collected.handed_over), collected.lapsed, collected.left) == (3, 0, 0)
    after = room.ledger.handoffs[first.id]
    assert (after.model, after.model_version, after.score) == ("new", 1, 5_200)
    assert orjson.loads(room.ledger.published[0].value or b"")["model"] == {"name": "new", "version": 1}


def test_who_has_no_score_under_a_model_of_the_rule_goes_on_waiting() -> None:
    room, of = waiting(), replace(weekly(), model="test")
    handoffs = list(room.ledger.handoffs.values())
    states = {one.id: state(52, 2, primary="new", models={"new": body(52)["models"]["test"]}) for one in handoffs}
    collected = collect(room.ledger, of, hot_list(of, "k", FRIDAY), handoffs, states, FRIDAY)
    assert (collected.handed_over, collected.lapsed, collected.left) == ([], 0, 3)
    assert {one.state for one in room.ledger.handoffs.values()} == {"qualified"}


def test_a_lapsed_cycle_may_be_raised_again() -> None:
    room = Room(weekly(), now=day(1))
    room.take("a", 52, 1)
    room.take("a", 30, 4)
    room.ledger.lapse(room.only.id, FRIDAY, "cooled before the run")
    room.take("a", 52, 30)
    assert len(room.raised()) == 1
    room.take("a", 30, 31)
    room.take("a", 52, 32)
    assert room.raised()[-1] == ("a", "weekly", 2)


def test_what_no_run_collected_lapses_in_the_end() -> None:
    room = waiting()
    handoff = next(iter(room.ledger.handoffs.values()))
    assert not room.ledger.expire_if_due(handoff.id, day(94))
    assert room.ledger.expire_if_due(handoff.id, day(95))
    assert room.ledger.handoffs[handoff.id].state == "lapsed"


def test_hot_now() -> None:
    gated = rule("require: {grade: [A]}")
    assert is_hot(gated, state(50, grade="A"))
    assert not is_hot(gated, state(50, grade="B"))
    assert not is_hot(gated, state(49.99, grade="A"))
    assert not is_hot(gated, state(None))
    assert not is_hot(rule("model: other"), state(99))


def row(**attributes: Any) -> dict[str, str]:
    published = state(52, 1, attributes=attributes)
    written = lines([cells(rule(), published, published.models["test"], None)], "utf-8")
    (found,) = csv.DictReader(io.StringIO((header(COLUMNS, "utf-8") + written).decode()))
    return found


def test_a_row() -> None:
    found = row(name="山田 太郎", company="株式会社サンプル", job_title=None, industry=7)
    assert list(found) == COLUMNS
    assert (found["email"], found["name"], found["score"]) == ("taro@example.co.jp", "山田 太郎", "52.0")
    assert (found["industry"], found["job_title"], found["handoff_id"]) == ("7", "", "")
    assert found["reasons"] == "seminar-attended 52"


HOSTILE = ["=1+1", "+81", "-2", "@SUM(A1)", "\tx", "\rx", " =1", "\u3000=1", "\n=1", "＝1", "＋1", "－1", "＠x"]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_is_run_by_a_spreadsheet(text: str) -> None:
    assert row(name=text)["name"].startswith("'")


@given(st.text())
def test_a_cell_never_begins_like_a_formula_and_is_read_back(text: str) -> None:
    found = row(name=text)["name"]
    assert not found.lstrip(" \u3000\n").startswith(("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠"))
    if not {"\r", "\n"} & set(text):
        assert found in {text, f"'{text}"}


def test_byte_order_mark_and_cp932() -> None:
    assert header(COLUMNS, "utf-8-sig").startswith(b"\xef\xbb\xbflead_id,")
    assert not header(COLUMNS, "utf-8").startswith(b"\xef")
    written = lines([["髙橋 〜 − 🚀", 1.5, None]], "cp932")
    assert written.decode("cp932") == "髙橋 ～ － 〓,1.5,\r\n"


@given(st.lists(st.text()))
def test_anything_can_be_written_in_cp932(texts: list[str]) -> None:
    assert lines([[*texts, "end"]], "cp932").endswith(b"end\r\n")


def test_a_handed_over_row_has_its_handoff() -> None:
    room = waiting()
    handoff: Handoff = next(iter(room.ledger.handoffs.values()))
    published = state(52, 1)
    after = room.ledger.collect(handoff.id, weekly(), published, "test", FRIDAY, "e")
    written = dict(zip(COLUMNS, cells(weekly(), published, published.models["test"], after), strict=True))
    assert (written["handoff_id"], written["lead_id"]) == (handoff.id, "a")
    assert written["handed_over_at"] == "2026-11-06T00:00:00.000000Z"
