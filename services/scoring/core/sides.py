"""The two sides of a rule's conditions: what an activity alone answers for good, and what the lead's attributes answer
as of today.

Once an activity is removed, only its own answers are left of it: a text of one digit per condition. With these the rule
can be asked again whenever an attribute changes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shared.conditions import Block, FieldCondition, Test, compile_condition

ATTRIBUTES = "attributes."
DOMAIN = "identity.email_domain"
HOLDS, FAILS, OPEN = "1", "0", "?"


def about_lead(field: str) -> bool:
    """Whether a field is the lead's, and not the activity's own."""
    return field.startswith(ATTRIBUTES) or field == DOMAIN


@dataclass(frozen=True, slots=True)
class _Side:
    """One condition, and whether it is about the lead."""

    test: Test
    about_lead: bool


@dataclass(frozen=True, slots=True)
class Sides:
    """A rule's conditions, as `all`, `any` and `none`."""

    all: tuple[_Side, ...]
    any: tuple[_Side, ...]
    none: tuple[_Side, ...]

    def answers(self, facts: Any) -> str:
        """What an activity answers: a digit for each of its own conditions, in the order of the file."""
        own = (one for one in (*self.all, *self.any, *self.none) if not one.about_lead)
        return "".join([HOLDS if one.test(facts) else FAILS for one in own])

    def possible(self, answers: str) -> bool:
        """Whether there are attributes under which an activity with these answers matches."""
        of_all, of_any, of_none = self._apart(answers)
        return FAILS not in of_all and (not of_any or of_any.strip(FAILS) != "") and HOLDS not in of_none

    def hold(self, answers: str, facts: Any) -> bool:
        """Whether an activity with these answers matches, for the lead as it is."""
        of_all, of_any, of_none = self._apart(answers)
        return (
            all(_said(one, answer, facts) for one, answer in zip(self.all, of_all, strict=True))
            and (not self.any or any(_said(one, answer, facts) for one, answer in zip(self.any, of_any, strict=True)))
            and not any(_said(one, answer, facts) for one, answer in zip(self.none, of_none, strict=True))
        )

    def _apart(self, answers: str) -> tuple[str, str, str]:
        """The answers to each kind of conditions, those about the lead being open."""
        left = iter(answers)
        of_all, of_any, of_none = (
            "".join([OPEN if one.about_lead else next(left) for one in sides])
            for sides in (self.all, self.any, self.none)
        )
        return of_all, of_any, of_none


def _said(side: _Side, answer: str, facts: Any) -> bool:
    return side.test(facts) if answer == OPEN else answer == HOLDS


def sides_of(block: Block) -> Sides:
    """Take the conditions of a rule apart."""
    return Sides(_sides(block.all or ()), _sides(block.any or ()), _sides(block.none or ()))


def _sides(conditions: Sequence[Any]) -> tuple[_Side, ...]:
    return tuple(
        _Side(compile_condition(one), isinstance(one, FieldCondition) and about_lead(one.field)) for one in conditions
    )
