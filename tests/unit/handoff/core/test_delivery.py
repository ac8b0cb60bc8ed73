"""Which events go where, and under which ids."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from services.handoff.core.delivery import Event, Wish, delivery_id, message_id, standing
from shared.events import EXTRACTION_COMPLETED, HANDOFF_OUTCOME, MERGED, QUALIFIED
from tests.unit.handoff.builders import day

ONE = UUID(int=1)


def event(type_: str = QUALIFIED, *, at: float = 1, **data: Any) -> Event:
    return Event("e", "kizashi/handoff", type_, "t", "topic", "lead", day(at), b"{}", data)


def wish(*events: str, rules: list[str] | None = None, queues: list[str] | None = None, collects: bool = False) -> Wish:
    rule_set, queue_set = rules and frozenset(rules), queues and frozenset(queues)
    return Wish(ONE, frozenset(events or (QUALIFIED,)), rule_set or None, queue_set or None, collects, day(1))


LEAD: dict[str, Any] = {"rule": "hot", "handoff": {"queue": "desk", "extraction": None}}
COLLECTED: dict[str, Any] = {"rule": "weekly", "handoff": {"queue": "desk", "extraction": "x-1"}}
OUTCOME: dict[str, Any] = {"rule": "hot", "queue": "desk"}


@pytest.mark.parametrize(
    ("wanted", "published", "expected"),
    [
        (wish(), event(**LEAD), "waiting"),
        (wish(), event(HANDOFF_OUTCOME, **OUTCOME), None),
        (wish("*"), event(HANDOFF_OUTCOME, **OUTCOME), "waiting"),
        (wish("*"), event("lead.of-the-future.v1"), "waiting"),
        (wish(rules=["hot"]), event(**LEAD), "waiting"),
        (wish(rules=["other"]), event(**LEAD), None),
        (wish(queues=["desk"]), event(**LEAD), "waiting"),
        (wish(HANDOFF_OUTCOME, queues=["desk"]), event(HANDOFF_OUTCOME, **OUTCOME), "waiting"),
        (wish(rules=["hot"], queues=["field"]), event(**LEAD), None),
        (wish(MERGED, rules=["hot"]), event(MERGED), None),
        (wish(), event(**COLLECTED), "waiting"),
        (wish(collects=True), event(**COLLECTED), "collected"),
        (wish(collects=True), event(**LEAD), "waiting"),
        (wish(collects=True), event(EXTRACTION_COMPLETED, extraction_id="x-1", rule="weekly"), "waiting"),
        (wish(), event(EXTRACTION_COMPLETED, extraction_id="x-1", rule="weekly"), None),
        (wish(HANDOFF_OUTCOME, collects=True), event(EXTRACTION_COMPLETED, extraction_id="x-1"), None),
        (wish(), event(at=1 - 1 / 24, **LEAD), None),
        (wish(), event(at=1 - 30 / 86_400, **LEAD), "waiting"),
        (wish(rules=["hot"]), event(rule=None, handoff="odd"), None),
    ],
)
def test_what_is_delivered(wanted: Wish, published: Event, expected: str | None) -> None:
    assert standing(wanted, published) == expected


def test_the_run_of_an_event_is_known_from_either_side() -> None:
    assert event(**COLLECTED).extraction == event(EXTRACTION_COMPLETED, extraction_id="x-1").extraction == "x-1"
    assert event(**LEAD).extraction is None


def test_ids_are_the_same_for_the_same_event_and_destination_alone() -> None:
    ids = {delivery_id(UUID(int=n), source, id_) for n in (1, 2) for source in ("a", "b") for id_ in ("x", "y")}
    assert len(ids) == 8
    assert delivery_id(ONE, "a", "x") == delivery_id(ONE, "a", "x")
    assert message_id(ONE) == "msg_00000000000000000000000000000001"


def test_an_hour_is_not_a_minute() -> None:
    assert standing(wish(), event(at=1 - timedelta(minutes=2) / timedelta(days=1), **LEAD)) is None
