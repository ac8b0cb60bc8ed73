"""The state machine of a handoff, step by step, and what each step leaves behind."""

from datetime import timedelta

import orjson
import pytest

from services.handoff.core.crossing import Crossing
from services.handoff.core.handoff import Handoff, Step, new_handoff
from services.handoff.core.ledger import Ledger
from services.handoff.core.rules import load_rules
from services.handoff.core.states import OUTCOMES, STATES, STEPS, WAITING, IllegalStepError, changes, is_closed
from shared.events import unpack_headers
from tests.unit.handoff.builders import LEAD, day, rule, state

ALLOWED = {
    ("qualified", "accepted"),
    ("qualified", "rejected"),
    ("qualified", "recycled"),
    ("assigned", "accepted"),
    ("assigned", "rejected"),
    ("assigned", "recycled"),
    ("accepted", "converted"),
    ("accepted", "lost"),
    ("accepted", "recycled"),
    ("accepted", "rejected"),
}


def handoff(at: float = 0, now: float = 0) -> Handoff:
    return new_handoff(rule(), state(52, at), Crossing(1, day(at), "test"), day(now))


@pytest.mark.parametrize("before", STATES)
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_every_answer_in_every_state(before: str, outcome: str) -> None:
    if before == outcome:
        assert not changes(before, outcome)
    elif (before, outcome) in ALLOWED:
        assert changes(before, outcome)
    else:
        with pytest.raises(IllegalStepError):
            changes(before, outcome)


def test_only_three_states_are_open_and_two_wait_for_an_answer() -> None:
    assert {name for name in STATES if not is_closed(name)} == {"qualified", "assigned", "accepted"}
    assert {name for name in STATES if "expired" in STEPS[name]} == WAITING


def test_a_step_is_kept_published_and_numbered() -> None:
    ledger = Ledger([handoff()])
    (handoff_id,) = ledger.handoffs
    assert ledger.step(handoff_id, Step("accepted", day(1), "sato"))
    assert not ledger.step(handoff_id, Step("accepted", day(2), "other"))
    assert ledger.step(handoff_id, Step("recycled", day(3), "sato", "no budget", day(90)))
    assert [entry.revision for entry in ledger.history] == [2, 3]
    assert ledger.changed[handoff_id].state == "recycled"
    first, second = ledger.published
    body = orjson.loads(second.value or b"")
    assert (body["outcome"], body["reason"], body["by"]) == ("recycled", "no budget", "sato")
    assert body["until"].startswith("2027-01-30T00:00:00")
    assert (first.topic, first.key) == ("handoff-outcomes", LEAD.encode())
    assert dict(unpack_headers(second.headers))["ce_id"] == f"{handoff_id}:3".encode()


def test_an_answer_that_comes_too_late_meets_an_expired_handoff() -> None:
    ledger = Ledger([handoff(0, 0)])
    (handoff_id,) = ledger.handoffs
    with pytest.raises(IllegalStepError):
        ledger.answer(handoff_id, Step("accepted", day(91), "sato"), day(91))
    assert ledger.handoffs[handoff_id].state == "expired"


def test_sales_has_its_time_from_the_hand_over_even_where_the_crossing_is_old() -> None:
    late = handoff(0, 80)
    assert late.expires_at == day(90)
    assert late.close_at == day(170)
    ledger = Ledger([late])
    assert ledger.answer(late.id, Step("accepted", day(100), "sato"), day(100))


def test_ids_follow_from_lead_rule_and_cycle() -> None:
    assert handoff(0).id == handoff(5, 9).id
    assert handoff().id != new_handoff(rule(), state(52), Crossing(2, day(0), "test"), day(0)).id


def test_respond_by_counts_in_the_queues_hours() -> None:
    def of(queue: str) -> Handoff:
        text = f"queues: {{desk: {queue}}}\nrules:\n  - {{id: hot, enter: 50, to: desk, when: immediately}}\n"
        return new_handoff(load_rules(text).rules()[0], state(52), Crossing(1, day(0), "test"), day(1))

    assert of("{respond_within: 4h}").respond_by == day(1) + timedelta(hours=4)
    # Monday 2 November 2026 is 09:00 in Tokyo at day(1); Tuesday is a holiday there.
    tokyo = 'calendar: {timezone: Asia/Tokyo, country: JP, hours: "10:00-18:00", days: MON-FRI}'
    assert of(f"{{respond_within: 4h, {tokyo}}}").respond_by == day(1) + timedelta(hours=5)
    assert of(f"{{respond_within: 10h, {tokyo}}}").respond_by == day(3) + timedelta(hours=3)
    assert of(f"{{respond_within: 1d, {tokyo}}}").respond_by == day(1) + timedelta(hours=9)
    assert of("{}").respond_by is None
