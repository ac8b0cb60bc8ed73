"""The handoffs that one transaction has in hand, and everything it does to them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from services.handoff.core.events import outcome, qualified
from services.handoff.core.handoff import SELF, Handoff, Step, closed_at, expiry, unanswered_at
from services.handoff.core.rules import Rule
from services.handoff.core.state import LeadState
from services.handoff.core.states import MERGED, WAITING, changes, is_closed
from shared.outbox import OutboxRow


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a handoff's history: the step that made it what it is at `revision`."""

    handoff_id: str
    revision: int
    step: Step


class Ledger:
    """Pure bookkeeping: handoffs go in as they are stored, and what is to be written comes out.

    `qualified` counts the new ones for those who measure: the model and the grade of each.
    """

    def __init__(self, stored: Iterable[Handoff] = ()) -> None:
        self.handoffs = {handoff.id: handoff for handoff in stored}
        self.born: dict[str, Handoff] = {}
        self.changed: dict[str, Handoff] = {}
        self.history: list[Entry] = []
        self.published: list[OutboxRow] = []
        self.qualified: list[tuple[str, str]] = []

    def open(self, handoff: Handoff, rule: Rule, state: LeadState) -> None:
        """Take in a new handoff and publish its qualified lead."""
        self.handoffs[handoff.id] = self.born[handoff.id] = handoff
        self.history.append(Entry(handoff.id, handoff.revision, Step(handoff.state, handoff.handed_over_at, SELF)))
        self.published.append(qualified(handoff, rule, state))
        self.qualified.append((handoff.model, state.models[handoff.model].grade or ""))

    def step(self, handoff_id: str, step: Step) -> bool:
        """Let a handoff take a step; False where it stands there already. Raises IllegalStepError, KeyError."""
        before = self.handoffs[handoff_id]
        if not changes(before.state, step.state):
            return False
        after = replace(before, state=step.state, revision=before.revision + 1)
        self.handoffs[handoff_id] = after
        target = self.born if handoff_id in self.born else self.changed
        target[handoff_id] = after
        self.history.append(Entry(handoff_id, after.revision, step))
        self.published.append(outcome(after, step))
        return True

    def answer(self, handoff_id: str, step: Step, now: datetime) -> bool:
        """As `step`, for the word of sales: one that comes too late meets an expired handoff."""
        self.expire_if_due(handoff_id, now)
        return self.step(handoff_id, step)

    def expire_if_due(self, handoff_id: str, now: datetime) -> bool:
        """Expire a handoff that sales left without an answer for too long; returns whether it was."""
        handoff = self.handoffs[handoff_id]
        if handoff.state not in WAITING or handoff.close_at > now:
            return False
        return self.step(handoff_id, expiry(handoff.close_at))

    def closed(self, handoff_id: str | None, at: datetime) -> bool:
        """Whether nothing of the last cycle is open at the judged instant; what nobody answered expires here."""
        handoff = self.handoffs.get(handoff_id) if handoff_id else None
        if handoff is None:
            return True
        if unanswered_at(handoff, at):
            self.step(handoff.id, expiry(handoff.expires_at))
            return True
        return closed_at(handoff, at)

    def keep_older(self, one: str | None, other: str | None, at: datetime) -> str | None:
        """Of the handoffs of two merged leads under one rule the older open one stays, the other closes as `merged`.

        Returns the one that the survivor's next cycle has to wait for.
        """
        known = [self.handoffs[name] for name in (one, other) if not self.closed(name, at) and name is not None]
        known.sort(key=lambda item: (is_closed(item.state), item.crossed_at, item.handed_over_at, item.id))
        for younger in known[1:]:
            if not is_closed(younger.state):
                self.step(younger.id, Step(MERGED, at, SELF, f"merged into handoff {known[0].id}"))
        return known[0].id if known else None
