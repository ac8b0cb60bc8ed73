"""Where a handoff stands, and which steps it may take.

Source: CONTRACT, HTTP of handoff: qualified → assigned | accepted | rejected | recycled | expired; assigned → the same;
accepted → converted | lost | recycled | rejected; merges, lapsed runs and erasures close what is open. A handoff that
goes back to its queue is `qualified` again, which is no step of sales and so stands in no list here.
"""

from collections.abc import Mapping

from shared.errors import KizashiError

QUALIFIED, ASSIGNED, ACCEPTED = "qualified", "assigned", "accepted"
REJECTED, RECYCLED, CONVERTED, LOST = "rejected", "recycled", "converted", "lost"
EXPIRED, MERGED, LAPSED = "expired", "merged", "lapsed"

OUTCOMES = (ACCEPTED, REJECTED, RECYCLED, CONVERTED, LOST)
"""What sales may answer."""
NEED_REASON = frozenset({REJECTED, RECYCLED})
WAITING = frozenset({QUALIFIED, ASSIGNED})
"""States without an answer; only these expire."""

_WITHOUT_ANSWER = frozenset({ASSIGNED, ACCEPTED, REJECTED, RECYCLED, EXPIRED, MERGED, LAPSED})
STEPS: Mapping[str, frozenset[str]] = {
    QUALIFIED: _WITHOUT_ANSWER,
    ASSIGNED: _WITHOUT_ANSWER,
    ACCEPTED: frozenset({CONVERTED, LOST, RECYCLED, REJECTED, MERGED, LAPSED}),
    REJECTED: frozenset(),
    RECYCLED: frozenset(),
    CONVERTED: frozenset(),
    LOST: frozenset(),
    EXPIRED: frozenset(),
    MERGED: frozenset(),
    LAPSED: frozenset(),
}
STATES = tuple(STEPS)


class IllegalStepError(KizashiError):
    """A handoff cannot go from where it stands to where it is asked to go."""

    def __init__(self, state: str, wanted: str) -> None:
        super().__init__(f"a handoff that is {state} cannot become {wanted}")


def is_closed(state: str) -> bool:
    """Whether nothing can follow: only then may the rule be armed again."""
    return not STEPS[state]


def changes(state: str, wanted: str) -> bool:
    """Whether the step is one; False where it was taken already. Raises IllegalStepError."""
    if state == wanted:
        return False
    if wanted not in STEPS[state]:
        raise IllegalStepError(state, wanted)
    return True
