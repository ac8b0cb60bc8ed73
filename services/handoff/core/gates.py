"""Gates: what a lead must have beside the score."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from services.handoff.core.file import Require
from services.handoff.core.state import LeadState, ModelState
from shared.conditions import compile_block, look_up

Gate = Callable[[LeadState, ModelState], bool]


@dataclass(frozen=True, slots=True)
class _Facts:
    """What conditions in a gate may ask about; see `shared.conditions.Scope`."""

    attributes: Mapping[str, Any]
    email_domain: str | None
    total: float | None
    engagement: float | None
    fit: float | None
    grade: str | None
    level: str | None
    stage: str | None


def compile_gate(require: Require) -> Gate:
    """All of `require` together, as a test of a lead's state under one model."""
    parts = [*_bands(require), *_knowledge(require)]
    if require.conditions():
        parts.append(_conditions(require))

    def passes(lead: LeadState, model: ModelState) -> bool:
        return all(part(lead, model) for part in parts)

    return passes


def _bands(require: Require) -> list[Gate]:
    parts: list[Gate] = []
    if require.grade is not None:
        grades = frozenset[str](require.grade)
        parts.append(lambda _, model: model.grade in grades)
    if require.level is not None:
        levels = frozenset[str](require.level)
        parts.append(lambda _, model: model.level in levels)
    if require.stage is not None:
        stages = frozenset(require.stage)
        parts.append(lambda _, model: model.stage in stages)
    return parts


def _knowledge(require: Require) -> list[Gate]:
    parts: list[Gate] = []
    if require.attributes:
        names = tuple(require.attributes)
        parts.append(lambda lead, _: all(look_up(lead.attributes, name) not in (None, "") for name in names))
    if require.coverage is not None:
        least = require.coverage
        parts.append(lambda _, model: model.coverage is not None and model.coverage >= least)
    if require.consent:
        purposes = tuple(require.consent)
        parts.append(lambda lead, _: all(lead.consent.get(purpose) is True for purpose in purposes))
    return parts


def _conditions(require: Require) -> Gate:
    holds = compile_block(require)

    def passes(lead: LeadState, model: ModelState) -> bool:
        facts = _Facts(
            lead.attributes,
            lead.email_domain,
            model.score,
            model.engagement,
            model.fit,
            model.grade,
            model.level,
            model.stage,
        )
        return holds(facts)

    return passes
