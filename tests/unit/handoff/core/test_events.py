"""Published events say what happened, in the shape of their schemas."""

from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator

from services.handoff.core.crossing import Crossing
from services.handoff.core.handoff import Handoff, Step, new_handoff
from services.handoff.core.ledger import Ledger
from services.handoff.core.rules import Rule
from services.handoff.core.state import LeadState
from shared import schemas
from shared.events import OutboxRow, unpack_headers
from tests.unit.handoff.builders import LEAD, day, rule, state


def schema(type_: str) -> Draft202012Validator:
    return Draft202012Validator(schemas.schema(type_), format_checker=Draft202012Validator.FORMAT_CHECKER)


def crossing(published: LeadState) -> tuple[Rule, Handoff]:
    of = rule(leave=None)
    return of, new_handoff(of, published, Crossing(1, published.evaluated_at, "test"), day(1.5))


def opened(published: LeadState) -> OutboxRow:
    ledger = Ledger()
    of, handoff = crossing(published)
    ledger.open(handoff, of, published)
    (row,) = ledger.published
    return row


def body_of(row: OutboxRow) -> Any:
    return orjson.loads(row.value or b"")


def test_a_qualified_lead_carries_the_state_that_crossed() -> None:
    recent = [{"id": "a1", "type": "seminar_attended"}]
    published = state(52, 1, stage="comparison", recent_activities=recent)
    row = opened(published)
    value = body_of(row)
    schema("lead.qualified.v1").validate(value)
    assert (row.topic, row.key) == ("qualified-leads", LEAD.encode())
    assert value["lead"] == {"id": LEAD, "identifiers": published.identifiers, "attributes": published.attributes}
    assert (value["score"], value["cell"], value["stage"]) == (52.0, "D3", "comparison")
    assert value["threshold"] == {"enter": 50, "leave": 45}
    assert value["model"] == {"name": "test", "version": 3}
    assert value["reasons"] == [{"rule": "seminar-attended", "points": 52, "count": 1}]
    assert value["recent_activities"] == recent
    assert (value["crossed_at"], value["handed_over_at"]) == (
        "2026-11-02T00:00:00.000000Z",
        "2026-11-02T12:00:00.000000Z",
    )
    assert value["handoff"] == {
        "id": crossing(published)[1].id,
        "queue": "desk",
        "owner": None,
        "mode": "immediate",
        "extraction": None,
        "respond_by": None,
    }


def test_headers_are_those_of_a_cloud_event_and_the_same_under_replay() -> None:
    headers = dict(unpack_headers(opened(state(52, 1)).headers))
    assert headers == dict(unpack_headers(opened(state(52, 1)).headers))
    assert headers["ce_id"] == f"{LEAD}:hot:1".encode()
    assert headers["ce_type"] == b"lead.qualified.v1"
    assert headers["ce_source"] == b"kizashi/handoff"
    assert headers["ce_partitionkey"] == LEAD.encode()


@pytest.mark.parametrize(
    "step",
    [
        Step("accepted", day(2), "sato"),
        Step("recycled", day(2), "sato", "予算なし", day(90)),
        Step("expired", day(90), "kizashi", "no answer"),
        Step("merged", day(2), "kizashi", "merged into handoff x"),
    ],
)
def test_every_outcome_fits(step: Step) -> None:
    ledger = Ledger([crossing(state(52, 1))[1]])
    (handoff_id,) = ledger.handoffs
    ledger.step(handoff_id, step)
    value = body_of(ledger.published[0])
    schema("lead.handoff-outcome.v1").validate(value)
    assert (value["outcome"], value["reason"], value["handoff_id"]) == (step.state, step.reason, handoff_id)
