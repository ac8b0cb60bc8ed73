"""What stands for the score: instant qualifiers and rises; crossings that wait; levels; cooling."""

from datetime import timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.handoff.core.crossing import RuleMemory, judge
from services.handoff.core.handoff import Step
from services.handoff.core.rules import Rule, load_rules
from services.handoff.core.triggers import lows, pack_triggers, unpack_triggers
from shared.clock import to_rfc3339
from shared.events import unpack_headers
from tests.oracle.triggers import Moment, instants_raise, rises_raise
from tests.unit.handoff.builders import day, rule, state
from tests.unit.handoff.room import Room

INSTANT = rule("instant: [demo_requested, price-link]")
NEEDS_COMPANY = "require: {attributes: [company]}"


def did(type_: str, at: float, id_: str = "a1", **more: Any) -> dict[str, Any]:
    return {"id": id_, "source": "web", "type": type_, "occurred_at": to_rfc3339(day(at)), **more}


def signal(name: str, at: float, id_: str = "s1") -> dict[str, Any]:
    return {"signal": name, "source": "web", "id": id_, "occurred_at": to_rfc3339(day(at))}


def test_an_instant_activity_passes_the_score_but_not_the_gates() -> None:
    room = Room(rule(f"instant: [demo_requested], {NEEDS_COMPANY}"))
    asked = [did("demo_requested", 1)]
    room.take("a", 5, 1, recent_activities=asked, attributes={})
    assert room.raised() == []
    room.take("a", 5, 2, recent_activities=[did("page_viewed", 2, "a2"), *asked])
    assert room.raised() == [("a", "hot", 1)]


def test_a_signal_does_so_too_and_the_gate_may_pass_when_it_is_no_longer_told() -> None:
    room = Room(rule(f"instant: [price-link], {NEEDS_COMPANY}"))
    room.take("a", 5, 1, signal_activities=[signal("price-link", 1)], attributes={})
    room.take("a", 5, 2)
    assert room.raised() == [("a", "hot", 1)]


def test_one_that_came_late_counts_once_too() -> None:
    pages = [did("page_viewed", 1 + number / 100, f"p{number}") for number in range(10)]
    room = Room(INSTANT)
    room.take("a", 5, 2, recent_activities=pages)
    room.take("a", 5, 2.1, recent_activities=pages, late_activities=[did("demo_requested", 0.5)])
    assert room.raised() == [("a", "hot", 1)]
    room.answer(1, "rejected")
    room.take("a", 5, 29, recent_activities=pages, late_activities=[did("demo_requested", 0.5)])
    room.take("a", 5, 40, recent_activities=pages, late_activities=[did("demo_requested", 9, "old")])
    assert room.raised() == [("a", "hot", 1)]


def test_one_that_came_late_waits_for_its_gate() -> None:
    room = Room(rule(f"instant: [demo_requested], {NEEDS_COMPANY}"))
    room.take("a", 5, 1, late_activities=[did("demo_requested", 0.5)], attributes={})
    room.keep()
    room.take("a", 5, 2)
    assert room.raised() == [("a", "hot", 1)]


def test_once_per_activity() -> None:
    room = Room(INSTANT)
    asked = [did("demo_requested", 1)]
    room.take("a", 5, 1, recent_activities=asked)
    room.answer(1, "rejected")
    room.take("a", 5, 29, recent_activities=asked)
    room.take("a", 5, 30.5, recent_activities=asked)
    room.take("a", 5, 40, recent_activities=asked)
    assert room.raised() == [("a", "hot", 1)]
    room.take("a", 5, 41, recent_activities=[did("demo_requested", 41, "a2"), *asked])
    assert room.raised() == [("a", "hot", 1), ("a", "hot", 2)]


def test_not_one_as_old_as_the_cooldown() -> None:
    for age, expected in ((29.99, 1), (30, 0)):
        room = Room(INSTANT)
        room.take("a", 5, 50, recent_activities=[did("demo_requested", 50 - age)])
        assert len(room.raised()) == expected


def test_not_while_silent_and_not_later_because_of_what_was_silent() -> None:
    room = Room(INSTANT)
    asked = [did("demo_requested", 1)]
    room.take("a", 5, 1, recent_activities=asked, silent=True)
    room.take("a", 5, 2, recent_activities=asked)
    assert room.raised() == []
    room.take("a", 5, 3, recent_activities=[did("demo_requested", 3, "a2"), *asked])
    assert room.raised() == [("a", "hot", 1)]


def test_not_by_a_machine_nor_for_an_excluded_lead_nor_by_what_cannot_be_read() -> None:
    room = Room(INSTANT)
    room.take("a", 5, 1, recent_activities=[did("demo_requested", 1, verdict="scan")])
    room.take("a", 5, 2, recent_activities=[{"type": "demo_requested", "id": 7, "source": "web"}])
    room.take("a", 5, 3, recent_activities=[{**did("demo_requested", 1), "occurred_at": "yesterday"}])
    room.take("b", None, 1, recent_activities=[did("demo_requested", 1)])
    assert room.raised() == []


def test_a_rise_within_a_span() -> None:
    room = Room(rule("increase: {points: 20, within: 7d}"))
    room.take("a", 10, 0)
    room.take("a", 25, 5)
    room.take("a", 31, 6)
    assert room.raised() == [("a", "hot", 1)]
    room.take("b", 10, 0)
    room.take("b", 25, 8)
    room.take("b", 31, 16)
    assert room.raised() == [("a", "hot", 1)]


def test_a_new_lead_rises_from_nothing_one_that_was_there_before_does_not() -> None:
    room = Room(rule("increase: {points: 20, within: 7d}"))
    room.take("new", 20, 0)
    room.take("old", 30, 0, silent=True)
    room.take("old", 40, 1)
    assert room.raised() == [("new", "hot", 1)]


def test_points_that_come_together_by_a_merge_are_no_rise() -> None:
    room = Room(rule("increase: {points: 20, within: 7d}"))
    room.take("a", 15, 0)
    room.take("b", 15, 0)
    room.take("b", 30, 1, cause="merge", merged_from=["a"])
    assert room.raised() == []


CLICK = [did("email_clicked", 1)]


def test_a_crossing_by_a_mail_click_waits_for_the_verdict() -> None:
    room = Room(now=day(1))
    room.take("a", 52, 1, recent_activities=CLICK)
    assert room.raised() == []
    memory = room.judging.leads["a"].rules["hot"]
    assert (memory.settling_since, memory.settle_due) == (day(1), day(1) + timedelta(seconds=15))
    room.judging.settle("a")
    assert room.raised() == []
    room.keep()
    room.judging.now = day(1) + timedelta(seconds=15)
    room.judging.settle("a")
    assert room.raised() == [("a", "hot", 1)]
    assert room.only.crossed_at == day(1)
    body = orjson.loads(room.ledger.published[0].value or b"")
    assert (body["recent_activities"], body["reasons"][0]["points"]) == (CLICK, 52)
    assert room.judging.leads["a"].rules["hot"].settling_since is None


def test_a_burst_that_is_taken_back_raises_nothing_and_uses_nothing_up() -> None:
    room = Room(now=day(1))
    room.take("a", 52, 1, recent_activities=CLICK)
    room.take("a", 20, 1.0001, cause="verdict", recent_activities=CLICK)
    room.judging.now = day(2)
    room.judging.settle("a")
    assert room.raised() == []
    room.take("a", 52, 2)
    assert room.raised() == [("a", "hot", 1)]


def test_a_later_state_settles_by_its_own_time() -> None:
    room = Room(now=day(1))
    room.take("a", 52, 1, recent_activities=CLICK)
    room.take("a", 60, 1.0001, recent_activities=CLICK)
    assert room.raised() == []
    room.take("a", 10, 1.01)
    assert room.raised() == [("a", "hot", 1)]
    assert (room.only.crossed_at, room.ledger.handoffs[room.only.id].state) == (day(1), "qualified")


def test_settle_may_be_shorter_or_left_out_and_others_do_not_wait() -> None:
    room = Room(rule("settle: 0s"))
    room.take("a", 52, 1, recent_activities=CLICK)
    room.take("b", 52, 1, recent_activities=[did("page_viewed", 1.1, "a2"), *CLICK])
    assert len(room.raised()) == 2
    waiting = Room(rule())
    waiting.take("b", 52, 1, recent_activities=[did("page_viewed", 1.1, "a2"), *CLICK])
    assert len(waiting.raised()) == 1


def test_a_rule_that_is_gone_no_longer_waits() -> None:
    room = Room(now=day(1))
    room.take("a", 52, 1, recent_activities=CLICK)
    room.judging.rules, room.judging.now = (), day(2)
    room.judging.settle("a")
    assert room.judging.leads["a"].rules["hot"].settle_due is None
    assert room.raised() == []


def test_who_waits_goes_on_waiting_when_leads_merge() -> None:
    room = Room(now=day(1))
    room.take("a", 52, 1, recent_activities=CLICK)
    room.take("b", 60, 1.0001, cause="merge", merged_from=["a"], recent_activities=CLICK)
    room.judging.now = day(2)
    room.judging.settle("b")
    assert room.raised() == [("b", "hot", 1)]
    assert room.only.crossed_at == day(1)


LEVELS = """
queues: {inside: {}, field: {}}
rules:
  - {id: field, enter: 60, to: field, when: immediately,
     require: {handoff: {rule: inside, state: [accepted, converted]}}}
  - {id: inside, enter: 30, to: inside, when: immediately}
"""


def levels() -> tuple[Rule, ...]:
    return load_rules(LEVELS).rules()


def test_field_sales_follows_inside_sales_once_it_has_accepted() -> None:
    room = Room(*levels())
    room.take("a", 35, 1)
    room.take("a", 70, 2)
    assert room.raised() == [("a", "inside", 1)]
    room.answer(1, "accepted")
    room.keep()
    room.judging.reconsider("a")
    assert room.raised() == [("a", "inside", 1), ("a", "field", 1)]
    room.judging.reconsider("a")
    assert len(room.raised()) == 2


def test_the_next_state_does_it_too_and_a_closed_handoff_is_remembered() -> None:
    room = Room(*levels())
    room.take("a", 35, 1)
    room.answer(1, "accepted")
    room.answer(1, "converted")
    room.take("a", 40, 2)
    room.take("a", 41, 3)
    assert room.raised() == [("a", "inside", 1)]
    room.take("a", 70, 4)
    assert room.raised() == [("a", "inside", 1), ("a", "field", 1)]


@pytest.mark.parametrize("when", ["immediately", '{every: "FRI 09:00", timezone: Asia/Tokyo}'])
def test_who_is_handed_over_by_an_answer_is_not_expired_by_it(when: str) -> None:
    """The lead did nothing for a year; then inside sales accepted it."""
    text = LEVELS.replace("to: field, when: immediately", f"to: field, when: {when}, close_after: 30d")
    room = Room(*load_rules(text).rules(), now=day(365))
    room.take("a", 70, 1)
    room.answer(1, "accepted")
    room.judging.reconsider("a")
    followed = next(one for one in room.ledger.handoffs.values() if one.rule == "field")
    assert followed.crossed_at == day(1)
    assert followed.expires_at == followed.close_at >= day(395)
    room.take("a", 71, 366)
    assert room.ledger.handoffs[followed.id].state == "qualified"
    room.take("a", 71, 410)
    assert room.ledger.handoffs[followed.id].state == ("expired" if when == "immediately" else "lapsed")


def test_a_rejected_one_is_not_followed() -> None:
    room = Room(*levels())
    room.take("a", 35, 1)
    room.answer(1, "rejected")
    room.judging.reconsider("a")
    room.take("a", 70, 4)
    assert room.raised() == [("a", "inside", 1)]


def test_cooling_is_told_once_and_never_while_silent() -> None:
    room = Room()
    room.take("a", 52, 1)
    room.take("a", 44, 2)
    room.take("a", 43, 3)
    room.take("b", 52, 1)
    room.take("b", 44, 2, silent=True)
    room.take("c", 49, 1)
    room.take("c", 40, 2)
    assert room.types().count("lead.cooled.v1") == 1
    (row,) = [row for row in room.ledger.published if dict(unpack_headers(row.headers))["ce_type"] == b"lead.cooled.v1"]
    body = orjson.loads(row.value or b"")
    assert (body["lead_id"], body["cycle"], body["score"], row.topic) == ("a", 1, 44.0, "lead-lifecycle")


def test_of_a_rule_that_was_never_met_no_cooling_is_told() -> None:
    room = Room(rule(NEEDS_COMPANY))
    room.take("a", 52, 1, attributes={})
    room.take("a", 40, 2, attributes={})
    assert room.types() == []
    room.take("a", 52, 3, attributes={})
    room.take("a", 48, 4)
    room.take("a", 40, 5)
    assert room.types() == []
    room.take("b", 52, 1)
    room.take("b", 48, 2, attributes={})
    room.take("b", 40, 3, attributes={})
    assert room.types() == ["lead.qualified.v1", "lead.cooled.v1"]


def test_a_recycled_lead_rests_until_the_day_that_sales_named() -> None:
    room = Room()
    room.take("a", 52, 0)
    room.ledger.step(room.only.id, Step("recycled", day(1), "sato", "next term", day(60)))
    room.take("a", 10, 40)
    room.take("a", 52, 41)
    assert len(room.raised()) == 1
    room.take("a", 10, 61)
    room.take("a", 52, 62)
    assert len(room.raised()) == 2


def test_any_key_can_be_judged() -> None:
    account = state(60, lead_id="account:example.co.jp")
    _, crossing = judge(rule(), RuleMemory(), account, closed=True, silent=False)
    assert crossing is not None


def test_what_is_remembered_is_stored_and_read_back() -> None:
    room = Room(rule("instant: [demo_requested], increase: {points: 90, within: 7d}"))
    room.take("a", 5, 1, recent_activities=[did("demo_requested", 1)])
    memory = room.judging.leads["a"].rules["hot"]
    assert memory.instants
    assert memory.lows
    assert unpack_triggers(pack_triggers(memory.instants, memory.lows)) == (memory.instants, memory.lows)
    assert unpack_triggers(pack_triggers((), ())) == ((), ())


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 9)), min_size=1), st.integers(1, 20))
def test_lows_keep_what_the_lowest_of_every_later_window_needs(steps: list[tuple[int, int]], within: int) -> None:
    kept: tuple[Any, ...] = ()
    at, seen = 0, list[tuple[int, int]]()
    for wait, cents in steps:
        at += wait
        kept = lows(kept, day(at), cents, timedelta(days=within))
        seen.append((at, cents))
        held = [score for number, (_, score) in enumerate(seen) if _held(seen, number, at - within)]
        assert kept[0][1] == min(held)


def _held(seen: list[tuple[int, int]], number: int, begin: int) -> bool:
    """Whether a score was in force at some instant after `begin`, or at it."""
    return number + 1 == len(seen) or seen[number + 1][0] > begin


moments = st.lists(
    st.builds(
        Moment,
        st.sampled_from([1.0, 3.0, 8.0, 20.0, 31.0]),
        st.sampled_from([0, 5, 10, 25, 30, 44, 60]),
        st.booleans(),
        st.booleans(),
        st.sampled_from([False, False, False, True]),
    ),
    min_size=1,
    max_size=12,
)


@pytest.mark.parametrize(
    ("more", "expected_of"),
    [("instant: [demo_requested]", instants_raise), ("increase: {points: 20, within: 7d}", rises_raise)],
)
@given(moments=moments, open_for=st.sampled_from([0.0, 5.0, 60.0]))
def test_crossings_equal_those_of_the_oracle(
    more: str, expected_of: Any, moments: list[Moment], open_for: float
) -> None:
    of = rule(f"{more}, {NEEDS_COMPANY}")
    memory, raised, at = RuleMemory(), [], 0.0
    done: list[dict[str, Any]] = []
    for number, moment in enumerate(moments):
        at += moment.wait
        if moment.asked:
            done.insert(0, did("demo_requested", at, f"a{number}"))
        company = {"company": "x"} if moment.gates else {}
        published = state(moment.score, at, version=number + 1, recent_activities=done, attributes=company)
        closed = memory.crossed_at is None or published.evaluated_at >= memory.crossed_at + timedelta(days=open_for)
        memory, crossing = judge(of, memory, published, closed=closed, silent=moment.silent)
        raised += [number] if crossing is not None else []
    assert raised == expected_of(moments, open_for)
