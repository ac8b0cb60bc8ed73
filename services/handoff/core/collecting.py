"""A run: which of the waiting leads are handed over, and what stands in a row of the list."""

from collections.abc import Mapping
from datetime import datetime

from services.handoff.core.handoff import Handoff
from services.handoff.core.ledger import Ledger
from services.handoff.core.lifecycle import Extraction
from services.handoff.core.rules import Rule
from services.handoff.core.state import LeadState, ModelState

COOLED = "cooled before the run"
GONE = "the lead is no longer there"


def collect(
    ledger: Ledger,
    rule: Rule,
    extraction: Extraction,
    waiting: list[Handoff],
    states: Mapping[str, LeadState | None],
    now: datetime,
) -> list[tuple[Handoff, LeadState]]:
    """Hand over whose score is still at least `leave`, in the given order; let the others lapse.

    `states` has the last state of the lead that each handoff's lead is now, by the handoff's id.
    """
    collected = []
    for handoff in waiting:
        state = states.get(handoff.id)
        model = state.models.get(handoff.model) if state is not None else None
        if state is None or model is None or model.cents is None or model.cents < rule.leave:
            ledger.lapse(handoff.id, now, GONE if state is None else COOLED)
            continue
        collected.append((ledger.collect(handoff.id, rule, state, now, extraction.id), state))
    return collected


def is_hot(rule: Rule, state: LeadState) -> ModelState | None:
    """The lead's standing under the rule's model, if it meets score and gates now; None otherwise."""
    name = state.model_name(rule.model)
    model = state.models[name] if name is not None else None
    if model is None or model.cents is None or model.cents < rule.enter or not rule.gate(state, model):
        return None
    return model
