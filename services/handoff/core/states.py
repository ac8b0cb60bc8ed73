"""Where a handoff stands, and which steps are allowed."""

from dataclasses import dataclass
from datetime import datetime

from shared.errors import FieldFault, ProblemError

QUALIFIED, ASSIGNED, ACCEPTED = "qualified", "assigned", "accepted"
REJECTED, RECYCLED, CONVERTED, LOST = "rejected", "recycled", "converted", "lost"
EXPIRED, MERGED, LAPSED = "expired", "merged", "lapsed"

STEPS: dict[str, frozenset[str]] = {
    QUALIFIED: frozenset({ASSIGNED, ACCEPTED, REJECTED, RECYCLED, EXPIRED, MERGED, LAPSED}),
    ASSIGNED: frozenset({ASSIGNED, ACCEPTED, REJECTED, RECYCLED, EXPIRED, MERGED, LAPSED}),
    ACCEPTED: frozenset({CONVERTED, LOST, RECYCLED, REJECTED, MERGED}),
}
"""From an open state to the next; every other state is closed."""
OPEN = frozenset(STEPS)
UNANSWERED = frozenset({QUALIFIED, ASSIGNED})
OUTCOMES = frozenset({ACCEPTED, REJECTED, RECYCLED, CONVERTED, LOST})
"""What sales may answer."""
WITH_REASON = frozenset({REJECTED, RECYCLED})


@dataclass(frozen=True, slots=True)
class Answer:
    """An outcome as sales gave it: what, why, until when it rests, by whom, and when."""

    outcome: str
    reason: str | None
    until: datetime | None
    by: str | None
    at: datetime


def check_answer(outcome: str, reason: str | None) -> None:
    """Raises ProblemError 422 for an unknown outcome and for a missing reason."""
    if outcome not in OUTCOMES:
        raise _invalid("/outcome", f"expected one of {', '.join(sorted(OUTCOMES))}")
    if outcome in WITH_REASON and not (reason and reason.strip()):
        raise _invalid("/reason", f"{outcome} needs a reason")


def step(state: str, outcome: str) -> bool:
    """Whether the handoff moves: False where it is there already. Raises ProblemError 409 for an illegal step."""
    if state == outcome:
        return False
    if outcome not in STEPS.get(state, ()):
        raise ProblemError(409, "illegal_step", f"A handoff that is {state} cannot become {outcome}.")
    return True


def _invalid(pointer: str, detail: str) -> ProblemError:
    return ProblemError(422, "invalid_fields", "The answer cannot be taken.", [FieldFault(pointer, detail)])
