"""Who gets a lead."""

from collections import Counter
from datetime import date, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.handoff.core.assigning import Assigner, Workload
from services.handoff.core.file import Queue
from services.handoff.core.handoff import Handoff, Step
from services.handoff.core.queues import ReadyQueue, ready_queue
from services.handoff.core.routing import Choice, choose
from services.handoff.core.rules import load_rules
from services.handoff.core.states import IllegalStepError
from shared.events import unpack_headers
from tests.unit.handoff.builders import day, state
from tests.unit.handoff.room import Room

TODAY = date(2026, 11, 2)


def queue(*members: Any, **more: Any) -> ReadyQueue:
    named = [{"name": member} if isinstance(member, str) else member for member in members]
    return ready_queue("desk", Queue.model_validate({"members": named, **more}))


def who(of: ReadyQueue, seed: str = "s", attributes: Any = None, taken: Any = None, **more: Any) -> Choice:
    return choose(of, state(52, attributes=attributes or {}), taken or {}, TODAY, seed, **more)


def test_the_same_seed_gives_the_same_member_and_another_may_give_another() -> None:
    of = queue("sato", "suzuki", "tanaka")
    assert who(of, "a") == who(of, "a")
    assert {who(of, str(number)).owner for number in range(30)} == {"sato", "suzuki", "tanaka"}
    assert who(of, "a").reason == "drawn by weight among sato, suzuki, tanaka"


def test_leaving_does_not_move_the_leads_of_those_who_stay() -> None:
    before, after = queue("sato", "suzuki", "tanaka"), queue("sato", "tanaka")
    for number in range(50):
        owner = who(before, str(number)).owner
        assert owner == "suzuki" or who(after, str(number)).owner == owner


def test_weights_are_shares() -> None:
    of = queue({"name": "sato", "weight": 3.0}, "suzuki")
    drawn = Counter(who(of, str(number)).owner for number in range(4_000))
    assert 2_850 < drawn["sato"] < 3_150


@pytest.mark.parametrize(
    ("attributes", "owner"),
    [
        ({}, "sato"),
        ({"account_id": "A-17"}, "tanaka"),
        ({"account_id": "ａ-17"}, "tanaka"),
        ({"account_id": 17}, "sato"),
    ],
)
def test_the_accounts_owner_comes_first_whatever_the_capacity(attributes: Any, owner: str) -> None:
    owners = {"example.co.jp": "sato", "A-17": "tanaka"}
    of = queue({"name": "sato", "capacity_per_day": 1}, "suzuki", "tanaka", owners=owners)
    found = who(of, "x", attributes, {"sato": 9})
    assert found.owner == owner
    assert found.reason.startswith("owns the account")


def test_an_owner_who_is_away_is_named_and_somebody_else_gets_it() -> None:
    away = [{"from": "2026-11-01", "to": "2026-11-02"}]
    of = queue({"name": "sato", "absences": away}, "suzuki", owners={"example.co.jp": "sato"})
    found = who(of)
    assert (found.owner, found.reason) == (
        "suzuki",
        "the only one free; sato, who owns the account example.co.jp, is not there",
    )


def test_language_and_region() -> None:
    of = queue(
        {"name": "sato", "languages": ["ja"], "regions": ["関東"]},
        {"name": "suzuki", "languages": ["ja"], "regions": ["関西"]},
        {"name": "smith", "languages": ["en", "de"]},
    )
    for number in range(10):
        seed = str(number)
        assert who(of, seed, {"language": "ja", "region": "関西"}).owner == "suzuki"
        assert who(of, seed, {"language": "EN"}).owner == "smith"
        assert who(of, seed, {"language": "ja", "region": "九州"}).owner in {"sato", "suzuki"}
    assert {who(of, str(number), {"language": "fr"}).owner for number in range(40)} == {"sato", "suzuki", "smith"}
    assert {who(of, str(number), {}).owner for number in range(40)} == {"sato", "suzuki", "smith"}


def test_the_attributes_to_look_at_may_be_named() -> None:
    of = queue({"name": "sato", "languages": ["ja"]}, {"name": "smith", "languages": ["en"]}, language="locale")
    assert who(of, "x", {"locale": "en", "language": "ja"}).owner == "smith"


def test_capacity() -> None:
    of = queue({"name": "sato", "capacity_per_day": 2}, {"name": "suzuki", "capacity_per_day": 0})
    assert who(of, taken={"sato": 1}).owner == "sato"
    full = who(of, taken={"sato": 2})
    assert (full.owner, full.later) == (None, True)
    assert full.reason == "capacity of sato, suzuki is used up on 2026-11-02"


def test_nobody() -> None:
    assert who(queue()).later is False
    assert who(queue("sato"), without={"sato"}).reason == "nobody else is there"


@given(st.lists(st.sampled_from("abcd"), unique=True, min_size=1), st.integers(0, 3), st.text(max_size=5))
def test_nobody_gets_more_than_the_capacity(names: list[str], capacity: int, seed: str) -> None:
    of = queue(*({"name": name, "capacity_per_day": capacity} for name in names))
    taken: Counter[str] = Counter()
    for number in range(15):
        owner = who(of, f"{seed}{number}", taken=taken).owner
        assert (owner is None) == (sum(taken.values()) == capacity * len(names))
        taken.update([owner] if owner else [])
    assert all(count <= capacity for count in taken.values())


DESK = """
queues:
  desk:
    head: boss
    members: [{name: sato, capacity_per_day: 1}, {name: suzuki, capacity_per_day: 1}]
    respond_within: 4h
    decide_within: 3d
rules:
  - {id: hot, enter: 50, to: desk, when: immediately}
"""


def room(text: str = DESK) -> Room:
    return Room(*load_rules(text).rules(), now=day(1))


def handed_over(of: Room) -> Handoff:
    of.take("a", 52, 1)
    of.route()
    return of.only


def test_the_record_names_the_owner_and_the_history_why() -> None:
    of = room()
    handoff = handed_over(of)
    body = orjson.loads(of.ledger.published[0].value or b"")
    assert body["handoff"]["owner"] == handoff.owner
    assert handoff.owner in {"sato", "suzuki"}
    assert handoff.state == "qualified"
    (line,) = of.ledger.history
    assert line.owner == handoff.owner
    assert line.step.reason == handoff.routing == f"drawn by weight among sato, suzuki (seed {handoff.id}:1)"
    assert (handoff.respond_by, handoff.due_at) == (day(1) + timedelta(hours=4),) * 2
    assert handoff.rules_version == 7


def test_who_finds_no_capacity_waits_for_the_next_day() -> None:
    of = room()
    for lead in "abc":
        of.take(lead, 52, 1)
    workload = of.route()
    owners = [handoff.owner for handoff in of.ledger.handoffs.values()]
    assert sorted(filter(None, owners)) == ["sato", "suzuki"]
    assert workload.taken == {("desk", day(1).date()): {"sato": 1, "suzuki": 1}}
    (left,) = [handoff for handoff in of.ledger.handoffs.values() if handoff.owner is None]
    assert left.assign_at == day(2)
    assigner = Assigner(of.ledger, Workload(), day(2))
    assigner.waiting(left, None)
    now = of.ledger.handoffs[left.id]
    assert (now.state, now.assign_at, now.due_at) == ("assigned", None, left.due_at)
    assert now.owner in {"sato", "suzuki"}
    body = orjson.loads(of.ledger.published[-1].value or b"")
    assert (body["outcome"], body["owner"]) == ("assigned", now.owner)


def overdue_events(of: Room) -> list[Any]:
    rows = [
        row for row in of.ledger.published if dict(unpack_headers(row.headers))["ce_type"] == b"lead.handoff-overdue.v1"
    ]
    return [orjson.loads(row.value or b"") for row in rows]


def breach(of: Room, tried: Any = ()) -> Handoff:
    due_at = of.only.due_at
    assert due_at is not None
    Assigner(of.ledger, Workload(), due_at).breach(of.only, None, tried)
    return of.only


def test_two_breaches_remind_and_then_reassign_and_at_last_it_goes_back() -> None:
    of = room()
    first = handed_over(of)
    reminded = breach(of)
    assert (reminded.owner, reminded.state, reminded.breaches) == (first.owner, "qualified", 1)
    assert reminded.due_at == day(1) + timedelta(hours=8)
    second = breach(of)
    assert (second.state, second.breaches, second.respond_by) == ("assigned", 0, day(1) + timedelta(hours=12))
    assert {first.owner, second.owner} == {"sato", "suzuki"}
    breach(of)
    returned = breach(of, tried={"sato", "suzuki"})
    assert (returned.owner, returned.state, returned.due_at) == (None, "qualified", None)
    told = [(event["breach"], event["action"], event["owner"], event["new_owner"]) for event in overdue_events(of)]
    assert told == [
        (1, "reminded", first.owner, None),
        (2, "reassigned", first.owner, second.owner),
        (1, "reminded", second.owner, None),
        (2, "returned", second.owner, None),
    ]
    assert {event["head"] for event in overdue_events(of)} == {"boss"}
    assert [line.event for line in of.ledger.history] == ["step", "breach", "assignment", "breach", "assignment"]
    assert of.ledger.breached == 4


def test_who_found_no_capacity_is_given_to_somebody_though_both_deadlines_passed() -> None:
    of = room()
    for lead in "abc":
        of.take(lead, 52, 1)
    of.route()
    (left,) = [handoff for handoff in of.ledger.handoffs.values() if handoff.owner is None]
    full = {("desk", day(1).date()): {"sato": 1, "suzuki": 1}}
    for _ in range(2):
        left = of.ledger.handoffs[left.id]
        assert left.due_at is not None
        Assigner(of.ledger, Workload(full), left.due_at).breach(left, None, set())
    left = of.ledger.handoffs[left.id]
    assert (left.owner, left.state, left.assign_at, left.due_at) == (None, "qualified", day(2), None)
    Assigner(of.ledger, Workload(), day(2)).waiting(left, None)
    now = of.ledger.handoffs[left.id]
    assert (now.state, now.assign_at) == ("assigned", None)
    assert now.respond_by == now.due_at == day(2) + timedelta(hours=4)


def test_one_that_went_back_waits_for_whom_it_has_not_been_with() -> None:
    of = room()
    first = handed_over(of)
    other = next(name for name in ("sato", "suzuki") if name != first.owner)
    breach(of)
    due_at = of.only.due_at
    assert due_at is not None
    full = Workload({("desk", due_at.date()): {other: 1}})
    Assigner(of.ledger, full, due_at).breach(of.only, None, ())
    assert (of.only.owner, of.only.assign_at) == (None, day(2))
    busy = Workload({("desk", day(2).date()): {other: 1}})
    later = Assigner(of.ledger, busy, day(2))
    later.waiting(of.only, None, {str(first.owner)})
    assert (of.only.owner, of.only.assign_at, later.full) == (None, day(3), {})
    Assigner(of.ledger, Workload(), day(3)).waiting(of.only, None, {str(first.owner)})
    assert (of.only.owner, of.only.assign_at) == (other, None)


def test_one_that_everybody_has_had_waits_for_nobody() -> None:
    of = room()
    handed_over(of)
    breach(of)
    assert breach(of, tried={"sato", "suzuki"}).assign_at is None


def test_a_decision_has_its_own_deadline_and_an_accepted_lead_stays_accepted() -> None:
    of = room()
    first = handed_over(of)
    of.ledger.answer(first.id, Step("accepted", day(1.1), "sato"), day(1.1))
    assert (of.only.decide_by, of.only.due_at) == (day(4.1), day(4.1))
    breach(of)
    after = breach(of)
    assert (after.state, after.owner != first.owner, after.decide_by) == ("accepted", True, day(10.1))
    assert [event["which"] for event in overdue_events(of)] == ["decide", "decide"]
    of.ledger.answer(first.id, Step("converted", day(8), "suzuki"), day(8))
    assert of.only.due_at is None


def test_a_breach_noticed_late_leaves_time_for_the_reminder() -> None:
    of = room()
    handed_over(of)
    Assigner(of.ledger, Workload(), day(3)).breach(of.only, None, ())
    assert of.only.due_at == day(3) + timedelta(hours=4)


def test_without_members_the_head_is_reminded_and_the_lead_stays_in_the_queue() -> None:
    of = room(DESK.replace("members: [{name: sato, capacity_per_day: 1}, {name: suzuki, capacity_per_day: 1}]", ""))
    handed_over(of)
    breach(of)
    after = breach(of)
    assert (after.owner, after.state, after.due_at) == (None, "qualified", None)
    assert [event["action"] for event in overdue_events(of)] == ["reminded", "returned"]


def test_given_by_hand_and_what_cannot_be_given() -> None:
    of = room()
    handoff = handed_over(of)
    workload = Workload()
    Assigner(of.ledger, workload, day(1.2)).give(handoff, "tanaka", "boss", "knows them")
    assert (of.only.owner, of.only.state, workload.taken) == ("tanaka", "assigned", {})
    of.ledger.answer(handoff.id, Step("rejected", day(2), "tanaka", "no budget"), day(2))
    with pytest.raises(IllegalStepError):
        of.ledger.give(handoff.id, "sato", "boss", "again", day(3))
