"""A hand-over rule, ready to judge with: thresholds in cents and its gates as one test."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from services.handoff.core.seen import SeenLead

_NAMESPACE = uuid.UUID("8d9a52c6-5f9b-5c1e-9d0b-6b697a617368")
Gate = Callable[[SeenLead], bool]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of `handoff.yaml`. `model` None is the primary; `gates` must all pass."""

    id: str
    enter: int
    leave: int
    cooldown: timedelta
    close_after: timedelta
    queue: str
    model: str | None
    gates: tuple[Gate, ...]

    def passes(self, lead: SeenLead) -> bool:
        """Whether every gate lets this state through."""
        return all(gate(lead) for gate in self.gates)

    def handoff_id(self, lead_id: str, cycle: int) -> str:
        """The id of the handoff of one cycle: the same under every replay."""
        return str(uuid.uuid5(_NAMESPACE, f"{lead_id}:{self.id}:{cycle}"))


class GateFacts:
    """What the conditions of a gate may ask about (see shared.conditions.Scope)."""

    __slots__ = ("attributes", "email_domain", "engagement", "fit", "grade", "level", "stage", "total")

    def __init__(self, lead: SeenLead, state: Mapping[str, Any]) -> None:
        self.attributes: Mapping[str, Any] = lead.body.get("attributes") or {}
        email = (lead.body.get("identifiers") or {}).get("email")
        self.email_domain = email.rpartition("@")[2] if isinstance(email, str) else None
        self.total, self.engagement, self.fit = state["score"], state.get("engagement"), state.get("fit")
        self.grade, self.level, self.stage = state["grade"], state["level"], state["stage"]


def one_of(model: str | None, field: str, allowed: frozenset[str]) -> Gate:
    """The field of the lead's state is one of those."""

    def passes(lead: SeenLead) -> bool:
        state = lead.state(model)
        return state is not None and state[field] is not None and str(state[field]) in allowed

    return passes


def at_least_known(model: str | None, share: float) -> Gate:
    """So much of what fit rules ask about is known."""

    def passes(lead: SeenLead) -> bool:
        state = lead.state(model)
        return state is not None and state["coverage"] is not None and state["coverage"] >= share

    return passes


def has_attributes(names: tuple[str, ...]) -> Gate:
    """Each of these attributes has a value."""

    def passes(lead: SeenLead) -> bool:
        attributes = lead.body.get("attributes") or {}
        return all(attributes.get(name) not in (None, "") for name in names)

    return passes


def fulfils(model: str | None, test: Callable[[Any], bool]) -> Gate:
    """Compiled conditions hold."""

    def passes(lead: SeenLead) -> bool:
        state = lead.state(model)
        return state is not None and test(GateFacts(lead, state))

    return passes
