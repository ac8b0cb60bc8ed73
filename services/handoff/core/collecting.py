"""A run: which of the waiting leads are handed over, and what stands in a row of the list."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.handoff.core.handoff import Handoff
from services.handoff.core.ledger import Ledger
from services.handoff.core.lifecycle import Extraction
from services.handoff.core.rules import Rule
from services.handoff.core.state import LeadState, ModelState

COOLED = "cooled before the run"
GONE = "the lead is no longer there"
WITHOUT_RULE = "its rule is no longer there"


@dataclass(slots=True)
class Collected:
    """What became of those who waited: handed over, each with the state shown; how many lapsed; how many go on waiting,
    as nothing is known of them under a model of the rule's.
    """

    handed_over: list[tuple[Handoff, LeadState]] = field(default_factory=list)
    lapsed: int = 0
    left: int = 0


def collect(
    ledger: Ledger,
    rule: Rule,
    extraction: Extraction,
    waiting: Sequence[Handoff],
    states: Mapping[str, LeadState | None],
    now: datetime,
) -> Collected:
    """Hand over whose score is still at least `leave`, in the given order; let the others lapse.

    `states` has the last state of the lead that each handoff's lead is now, by the handoff's id.
    """
    collected = Collected()
    for handoff in waiting:
        state = states.get(handoff.id)
        name = _model_of(handoff, rule, state) if state is not None else None
        if state is not None and name is None:
            collected.left += 1
        elif state is None or name is None or not _is_warm(rule, state.models[name]):
            ledger.lapse(handoff.id, now, GONE if state is None else COOLED)
            collected.lapsed += 1
        else:
            handed_over = ledger.collect(handoff.id, rule, state, name, now, extraction.id)
            collected.handed_over.append((handed_over, state))
    return collected


def _model_of(handoff: Handoff, rule: Rule, state: LeadState) -> str | None:
    """The model it crossed under, or the one that took that one's place, as when a model is renamed."""
    return handoff.model if handoff.model in state.models else state.model_name(rule.model)


def _is_warm(rule: Rule, model: ModelState) -> bool:
    return model.cents is not None and model.cents >= rule.leave


def is_hot(rule: Rule, state: LeadState, follows: str | None = None) -> ModelState | None:
    """The lead's standing under the rule's model, if it meets score and gates now; None otherwise.

    `follows` is where the latest handoff of the rule stands that this one follows, if it follows one.
    """
    name = state.model_name(rule.model)
    model = state.models[name] if name is not None else None
    if model is None or model.cents is None or model.cents < rule.enter or not rule.gate(state, model):
        return None
    if rule.after is not None and follows not in rule.after.state:
        return None
    return model
