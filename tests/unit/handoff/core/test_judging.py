"""Leads under all rules: versions, rules that come later, merges in any order."""

from dataclasses import replace

import orjson
import pytest

from services.handoff.core.handoff import closed_at
from services.handoff.core.state import encode_state, stored_state
from tests.unit.handoff.builders import day, rule, state
from tests.unit.handoff.room import HOT, WARM, Room


def test_each_rule_has_its_own_cycles() -> None:
    room = Room(HOT, WARM)
    room.take("a", 35, 0)
    room.take("a", 55, 1)
    assert room.raised() == [("a", "warm", 1), ("a", "hot", 1)]


def test_a_second_cycle_waits_for_the_answer() -> None:
    room = Room()
    room.take("a", 52, 0)
    room.take("a", 10, 40)
    room.take("a", 52, 41)
    assert room.raised() == [("a", "hot", 1)]
    room.answer(1, "rejected")
    room.take("a", 52, 42)
    assert room.raised() == [("a", "hot", 1)]
    room.take("a", 10, 43)
    room.take("a", 52, 44)
    assert room.raised() == [("a", "hot", 1), ("a", "hot", 2)]


def test_accepted_is_not_closed_converted_is() -> None:
    room = Room()
    room.take("a", 52, 0)
    room.answer(1, "accepted")
    room.take("a", 10, 120)
    room.take("a", 52, 121)
    assert len(room.raised()) == 1
    room.answer(1, "converted")
    room.take("a", 10, 122)
    room.take("a", 52, 123)
    assert len(room.raised()) == 2


def test_a_handoff_without_answer_expires_by_the_time_of_the_states() -> None:
    room = Room()
    room.take("a", 52, 0)
    room.take("a", 10, 89)
    room.take("a", 52, 89.9)
    room.take("a", 10, 89.95)
    room.take("a", 52, 90)
    assert room.standing() == {("a", 1): "expired", ("a", 2): "qualified"}
    expired = room.judging.ledger.history[1]
    assert (expired.step.state, expired.step.at) == ("expired", day(90))


def test_expiry_counts_from_its_instant_whenever_it_was_written_down() -> None:
    room = Room()
    room.take("a", 52, 0)
    (handoff,) = room.judging.ledger.handoffs.values()
    expired = replace(handoff, state="expired")
    assert [closed_at(expired, day(number)) for number in (89, 90)] == [False, True]
    assert closed_at(replace(handoff, state="lost"), day(1))


def test_states_that_are_not_newer_are_ignored() -> None:
    room = Room()
    room.take("a", 48, 0)
    room.take("a", 60, 1, version=1)
    assert room.raised() == []
    room.take("a", 60, 2, version=7)
    room.take("a", 10, 60, version=7)
    assert room.raised() == [("a", "hot", 1)]
    assert room.judging.leads["a"].version == 7


@pytest.mark.parametrize("cause", ["model", "repair"])
def test_causes_that_nobody_acted_for_are_silent(cause: str) -> None:
    room = Room()
    room.take("a", 60, 0, cause=cause)
    room.take("a", 61, 1)
    assert room.raised() == []


def test_silence_may_be_asked_for() -> None:
    room = Room()
    room.take("a", 60, 0, silent=True)
    room.take("b", 60, 0)
    assert room.raised() == [("b", "hot", 1)]


def test_a_rule_that_is_added_later_takes_note_of_the_last_state_first() -> None:
    room = Room(HOT)
    room.take("above", 35, 0)
    room.take("below", 10, 0)
    room.judging.rules = (HOT, WARM)
    room.take("above", 36, 1)
    room.take("below", 36, 1)
    assert room.raised() == [("below", "warm", 1)]


def test_a_rule_that_was_away_takes_note_of_what_it_missed() -> None:
    room = Room(HOT, WARM)
    room.take("a", 10, 0)
    room.judging.rules = (HOT,)
    room.take("a", 35, 1)
    room.judging.rules = (HOT, WARM)
    room.take("a", 36, 2)
    assert room.raised() == []


def test_what_is_kept_of_a_state_judges_as_the_state_did() -> None:
    published = state(60, 1, grade="A", stage="evaluation", consent={"email": True})
    kept = stored_state(encode_state(published))
    gates = "require: {grade: [A], stage: [evaluation], consent: [email], attributes: [company], coverage: 0.5}"
    gate = rule(gates).gate
    assert gate(published, published.models["test"])
    assert gate(kept, kept.models["test"])
    assert kept.models["test"].cents == 6_000
    assert b"reasons" not in orjson.dumps(orjson.loads(encode_state(published)))


def test_a_merge_takes_over_that_the_rule_was_met() -> None:
    room = Room()
    room.take("a", 52, 0)
    room.take("b", 10, 1)
    room.take("b", 57, 2, cause="merge", merged_from=["a"])
    assert room.raised() == [("a", "hot", 1)]
    assert room.standing() == {("a", 1): "qualified"}


def test_the_next_cycle_after_a_merge_is_one_more_than_the_greater() -> None:
    room = Room()
    room.take("a", 52, 0)
    room.answer(1, "rejected")
    room.take("b", 10, 1)
    room.take("b", 20, 2, cause="merge", merged_from=["a"])
    room.take("b", 52, 29)
    assert len(room.raised()) == 1
    room.take("b", 20, 31)
    room.take("b", 52, 32)
    assert room.raised() == [("a", "hot", 1), ("b", "hot", 2)]


def test_of_two_open_handoffs_the_older_stays_and_blocks() -> None:
    room = Room()
    room.take("b", 52, 1)
    room.take("a", 52, 0)
    room.take("b", 80, 2, cause="merge", merged_from=["a"])
    assert room.standing() == {("b", 1): "merged", ("a", 1): "qualified"}
    room.take("b", 10, 40)
    room.take("b", 52, 41)
    assert len(room.raised()) == 2
    room.answer(1, "rejected", lead="a")
    room.take("b", 10, 42)
    room.take("b", 52, 43)
    assert room.raised()[-1] == ("b", "hot", 2)


def test_an_open_handoff_stays_when_the_other_is_closed() -> None:
    room = Room()
    room.take("a", 52, 0)
    room.answer(1, "rejected")
    room.take("b", 52, 1)
    room.take("b", 60, 2, cause="merge", merged_from=["a"])
    assert room.standing() == {("a", 1): "rejected", ("b", 1): "qualified"}


def test_later_records_of_a_merged_lead_are_ignored() -> None:
    room = Room()
    room.take("b", 20, 0, cause="merge", merged_from=["a"])
    room.take("a", 90, 1)
    room.take("a", 95, 2)
    assert room.raised() == []
    assert room.judging.leads["a"].merged_into == "b"


def test_a_lead_taken_out_of_a_merge_is_judged_again_and_repeats_no_cycle() -> None:
    room = Room()
    room.take("a", 52, 0)
    room.take("b", 20, 1, cause="merge", merged_from=["a"])
    room.take("a", 60, 2, cause="merge", unmerged_from="b")
    assert room.raised() == [("a", "hot", 1)]
    room.answer(1, "rejected")
    room.take("a", 20, 40)
    room.take("a", 70, 41)
    assert room.raised() == [("a", "hot", 1), ("a", "hot", 2)]


def parted(room: Room, *, merge_first: bool) -> None:
    """Lead a is merged into b and taken out again; the records of both lie on different partitions."""
    room.take("a", 52, 0)
    room.take("b", 10, 0)
    if merge_first:
        room.take("b", 57, 1, cause="merge", merged_from=["a"], merged_versions={"a": 1})
    room.take("a", 52, 2, cause="merge", unmerged_from="b")
    if not merge_first:
        room.take("b", 57, 1, cause="merge", merged_from=["a"], merged_versions={"a": 1})
    room.take("b", 10, 2, cause="merge")


@pytest.mark.parametrize("merge_first", [True, False])
def test_an_unmerge_that_is_read_before_its_merge_leaves_the_lead_to_itself(merge_first: bool) -> None:
    room = Room()
    parted(room, merge_first=merge_first)
    assert room.judging.leads["a"].merged_into is None
    assert room.raised() == [("a", "hot", 1)]
    room.answer(1, "rejected")
    for lead in "ab":
        room.take(lead, 10, 40)
        room.take(lead, 52, 41)
    assert room.raised() == [("a", "hot", 1), ("a", "hot", 2), ("b", "hot", 2)]


def test_a_later_merge_of_the_same_two_counts() -> None:
    room = Room()
    parted(room, merge_first=False)
    room.take("b", 60, 3, cause="merge", merged_from=["a"], merged_versions={"a": room.versions["a"]})
    assert room.judging.leads["a"].merged_into == "b"


def test_what_stands_again_crosses_as_loudly_as_anybody_the_next_time() -> None:
    room = Room()
    room.take("a", 52, 0, cause="merge", unmerged_from="b")
    assert room.raised() == []
    room.take("a", 10, 1)
    room.take("a", 52, 2)
    assert room.raised() == [("a", "hot", 1)]


def test_merges_follow_each_other_in_any_order() -> None:
    for order in ((("b", "a"), ("c", "b")), (("c", "b"), ("b", "a"))):
        room = Room()
        for lead in "abc":
            room.take(lead, 52 if lead == "a" else 10, 0)
        for survivor, merged in order:
            room.take(survivor, 20, 1, cause="merge", merged_from=[merged])
        assert room.judging.leads["c"].rules["hot"].cycle == 1
        room.take("c", 60, 40)
        assert room.raised() == [("a", "hot", 1)]


def test_a_lead_that_is_split_off_under_a_new_name_repeats_no_cycle() -> None:
    room = Room()
    room.take("x", 52, 0)
    room.take("e", 52, 1, cause="merge", unmerged_from="x")
    assert room.raised() == [("x", "hot", 1)]
    room.take("e", 10, 40)
    room.take("e", 52, 41)
    assert room.raised() == [("x", "hot", 1), ("e", "hot", 2)]


def test_a_merge_with_itself_or_again_changes_nothing() -> None:
    room = Room()
    room.take("a", 52, 0, merged_from=["a"])
    room.take("b", 10, 1, merged_from=["a"])
    before = room.judging.leads["b"].rules
    room.take("b", 10, 1, merged_from=["a"])
    assert room.judging.leads["b"].rules["hot"].cycle == before["hot"].cycle == 1


@pytest.mark.parametrize("answer", [None, "accepted"])
def test_of_an_erased_lead_nothing_stays_open(answer: str | None) -> None:
    room = Room(HOT, WARM)
    room.take("a", 35, 0)
    room.take("a", 55, 1)
    room.take("b", 55, 1)
    if answer is not None:
        room.answer(1, answer)
    before = len(room.ledger.published)
    room.judging.forget("a")
    room.judging.forget("a")
    assert {key: state for key, state in room.standing().items() if key[0] == "a"} == {("a", 1): "lapsed"}
    assert {one.state for one in room.ledger.handoffs.values() if one.lead_id == "b"} == {"qualified"}
    told = [orjson.loads(row.value or b"") for row in room.ledger.published[before:]]
    assert [(one["outcome"], one["reason"], one["by"]) for one in told] == [("lapsed", "erased", "kizashi")] * 2
    assert room.judging.leads["a"].last is None


def test_a_handoff_that_sales_has_closed_stays_closed_as_it_was() -> None:
    room = Room()
    room.take("a", 55, 1)
    room.answer(1, "rejected")
    room.judging.forget("a")
    assert room.standing() == {("a", 1): "rejected"}
