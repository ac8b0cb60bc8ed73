"""That a lead will cool is told in time, once, and never of a lead that something raised again before."""

from datetime import datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.handoff.core.judging import LeadMemory
from shared.clock import to_rfc3339
from shared.events import unpack_headers
from tests.oracle.cooling import Foretold, tells
from tests.unit.handoff.builders import body, day, rule
from tests.unit.handoff.room import Room

WITHIN = 7
RULE = rule(f"cools_within: {WITHIN}d")


def take(room: Room, score: float | None, at: float, falls: float | None, lead: str = "a", **more: Any) -> None:
    """A state whose model foretells that it falls below 45 on day `falls`."""
    forecast = [] if falls is None else [{"below": 45.0, "at": to_rfc3339(day(falls))}]
    models = body(score, at)["models"]
    models["test"]["forecast"] = [{"below": 50.0, "at": to_rfc3339(day(0))}, *forecast]
    room.take(lead, score, at, models=models, **more)


def wait(room: Room, until: float, lead: str = "a") -> None:
    """The timer, on every day that somebody might look."""
    room.judging.now = day(until)
    if any(one.cooling_due and one.cooling_due <= room.judging.now for one in room.judging.leads[lead].rules.values()):
        room.judging.cool(lead)


def told(room: Room) -> list[dict[str, Any]]:
    rows = [row for row in room.ledger.published if dict(unpack_headers(row.headers))["ce_type"] == b"lead.cooling.v1"]
    return [orjson.loads(row.value or b"") for row in rows]


def days(room: Room) -> list[datetime]:
    return [datetime.fromisoformat(one["at"]) for one in told(room)]


def test_it_is_told_once_when_so_many_days_are_left() -> None:
    room = Room(RULE)
    take(room, 52, 0, 20)
    wait(room, 12.99)
    assert told(room) == []
    wait(room, 13)
    wait(room, 14)
    (event,) = told(room)
    assert (event["lead_id"], event["rule"], event["cycle"], event["score"]) == ("a", "hot", 1, 52.0)
    assert (event["cools_at"], event["at"]) == (to_rfc3339(day(20)), to_rfc3339(day(13)))
    assert event["threshold"] == {"enter": 50, "leave": 45}


def test_the_same_forecast_again_says_nothing_new() -> None:
    room = Room(RULE)
    take(room, 52, 0, 20)
    for at in (13, 14, 15, 19):
        wait(room, at)
        room.keep()
        take(room, 51, at, 20 + 1e-9 * at)
    assert len(told(room)) == 1


def test_an_activity_in_time_puts_it_off() -> None:
    room = Room(RULE)
    take(room, 52, 0, 20)
    take(room, 57, 12, 40)
    wait(room, 32)
    assert days(room) == []
    wait(room, 33)
    assert days(room) == [day(33)]


def test_who_was_raised_and_cools_again_is_told_of_again() -> None:
    room = Room(RULE)
    take(room, 52, 0, 20)
    wait(room, 13)
    take(room, 60, 14, 60)
    wait(room, 53)
    assert days(room) == [day(13), day(53)]


def test_a_state_published_before_the_timer_went_off_and_read_after_it_says_nothing_new() -> None:
    room = Room(RULE)
    take(room, 52, 0, 20)
    wait(room, 13)
    take(room, 51, 12.99, 20)
    wait(room, 19)
    assert len(told(room)) == 1


def test_who_is_not_hot_or_never_cools_is_not_told_of() -> None:
    room = Room(RULE)
    take(room, 49, 0, 3)
    take(room, 60, 0, None, lead="b")
    for lead in "ab":
        wait(room, 100, lead)
    assert told(room) == []


def test_silent_states_in_the_span_tell_nothing_later_ones_do() -> None:
    room = Room(RULE)
    take(room, 52, 0, 3, silent=True)
    take(room, 52, 1, 3)
    take(room, 52, 0, 30, lead="b", silent=True)
    wait(room, 23, "a")
    wait(room, 23, "b")
    assert [one["lead_id"] for one in told(room)] == ["b"]


def test_a_rule_without_it_and_a_lead_that_is_gone_say_nothing() -> None:
    room = Room(rule())
    take(room, 52, 0, 3)
    wait(room, 100)
    gone = Room(RULE)
    take(gone, 52, 0, 20)
    gone.judging.forget("a")
    wait(gone, 100)
    assert told(room) == told(gone) == []
    assert gone.judging.leads["a"].rules["hot"].cooling_due is None


def test_of_a_rule_that_is_no_longer_there_the_timer_is_put_away() -> None:
    room = Room(RULE)
    take(room, 52, 0, 20)
    room.judging.rules = ()
    wait(room, 14)
    assert told(room) == []
    assert room.judging.leads["a"].rules["hot"].cooling_due is None


def test_what_was_due_while_nobody_was_there_is_told_before_the_next_state() -> None:
    room = Room(RULE)
    take(room, 52, 0, 20)
    take(room, 60, 15, 80)
    assert days(room) == [day(13)]


def test_a_merge_tells_nothing_twice() -> None:
    room = Room(RULE)
    take(room, 52, 0, 20)
    wait(room, 13)
    room.judging.leads["b"] = LeadMemory()
    take(room, 54, 14, 20, lead="b", cause="merge", merged_from=["a"])
    wait(room, 19, "b")
    assert len(told(room)) == 1


@st.composite
def histories(draw: st.DrawFn) -> list[Foretold]:
    found = []
    for at in sorted(draw(st.lists(st.integers(0, 60), min_size=1, max_size=8, unique=True))):
        score = draw(st.sampled_from([None, 44, 45, 47, 50, 60]))
        falls = draw(st.none() | st.integers(at + 1, 90)) if score is not None and score >= 45 else None
        found.append(Foretold(at, score, falls, draw(st.sampled_from([False, False, False, True]))))
    return found


@given(histories(), st.booleans())
def test_as_by_looking_every_day(history: list[Foretold], restarts: bool) -> None:
    room = Room(RULE)
    room.judging.leads["a"] = LeadMemory()
    until = 100
    for at in range(until + 1):
        wait(room, at)
        for one in history:
            if one.day == at:
                take(room, one.score, at, one.falls, silent=one.silent)
        wait(room, at)
        if restarts:
            room.keep()
    expected = tells(history, enter=50, leave=45, within=WITHIN, until=until)
    assert days(room) == [day(one) for one in expected]


@pytest.mark.parametrize("looked_at", [13, 13.5, 40])
def test_what_is_told_does_not_depend_on_when_somebody_looks(looked_at: float) -> None:
    room = Room(RULE)
    take(room, 52, 0, 20)
    wait(room, looked_at)
    assert [(one["at"], one["cools_at"]) for one in told(room)] == [(to_rfc3339(day(13)), to_rfc3339(day(20)))]
