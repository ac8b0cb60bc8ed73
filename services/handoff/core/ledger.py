"""The handoffs that one transaction has in hand, and everything it does to them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from services.handoff.core.events import outcome, qualified
from services.handoff.core.handoff import SELF, Handoff, Step, closed_at, expiry, hand_over, unanswered_at
from services.handoff.core.rules import Rule, Rulebook
from services.handoff.core.state import LeadState
from services.handoff.core.states import (
    ACCEPTED,
    ASSIGNED,
    LAPSED,
    MERGED,
    QUALIFIED,
    RECYCLED,
    WAITING,
    IllegalStepError,
    changes,
    is_closed,
)
from shared.events import OutboxRow

STEP, ASSIGNMENT, BREACH = "step", "assignment", "breach"
EMPTY = Rulebook()


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a handoff's history: what made it what it is at `revision`, and whose it was then."""

    handoff_id: str
    revision: int
    step: Step
    event: str = STEP
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class Opening:
    """A handoff just handed over whose owner is still to be chosen, and the place kept for its `qualified-leads`
    record and its line of history.
    """

    handoff: Handoff
    rule: Rule
    state: LeadState
    row: int
    entry: int


class Ledger:
    """Pure bookkeeping: handoffs go in as they are stored, and what is to be written comes out.

    For those who measure, `qualified` has the model and the grade of each that was handed over, and `breached` counts
    missed deadlines. `openings` are to be gone through with `assigned` before anything is written.
    """

    def __init__(self, stored: Iterable[Handoff] = (), book: Rulebook = EMPTY) -> None:
        self.book = book
        self.handoffs = {handoff.id: handoff for handoff in stored}
        self.born: dict[str, Handoff] = {}
        self.changed: dict[str, Handoff] = {}
        self.history: list[Entry] = []
        self.published: list[OutboxRow] = []
        self.openings: list[Opening] = []
        self.qualified: list[tuple[str, str]] = []
        self.breached = 0

    def put(self, handoff: Handoff, step: Step, event: str = STEP) -> None:
        """Take a handoff as it is now, with the line of its history that made it so."""
        self.handoffs[handoff.id] = handoff
        (self.changed if handoff.id not in self.born else self.born)[handoff.id] = handoff
        self.history.append(Entry(handoff.id, handoff.revision, step, event, handoff.owner))

    def open(self, handoff: Handoff, rule: Rule, state: LeadState) -> None:
        """Take in a new handoff; one that is not collected is handed over with it."""
        self.born[handoff.id] = handoff
        reason = None if handoff.handed_over_at is not None else "waits for the next run"
        self.put(handoff, Step(handoff.state, handoff.handed_over_at or handoff.crossed_at, SELF, reason))
        if handoff.handed_over_at is not None:
            self._publish(handoff, rule, state)

    def collect(
        self, handoff_id: str, rule: Rule, state: LeadState, model: str, now: datetime, extraction: str
    ) -> Handoff:
        """Hand a waiting handoff over in a run, as the lead stands under `model` now."""
        before, standing = self.handoffs[handoff_id], state.models[model]
        version = before.model_version if model == before.model else standing.version
        before = replace(before, model=model, model_version=version)
        after = hand_over(before, rule, now, extraction, score=standing.cents, revision=before.revision + 1)
        self.put(after, Step(after.state, now, SELF, "collected"))
        self._publish(after, rule, state)
        return after

    def lapse(self, handoff_id: str, now: datetime, reason: str) -> None:
        """End a waiting handoff whose lead has cooled."""
        self.step(handoff_id, Step(LAPSED, now, SELF, reason))

    def _publish(self, handoff: Handoff, rule: Rule, state: LeadState) -> None:
        self.qualified.append((handoff.model, state.models[handoff.model].grade or ""))
        if not rule.to.members:
            self.published.append(qualified(handoff, rule, state))
            return
        # Order within the lead is kept by a place that is filled once the owner is known.
        self.openings.append(Opening(handoff, rule, state, len(self.published), len(self.history) - 1))
        self.published.append(OutboxRow("", None, None))

    def assigned(self, opening: Opening, chosen: Handoff) -> None:
        """Fill the place of an opening: `chosen` is its handoff with owner and routing."""
        now = self.handoffs[chosen.id]
        assign_at = chosen.assign_at if now.state in WAITING else None
        both = replace(now, owner=chosen.owner, routing=chosen.routing, assign_at=assign_at)
        self.handoffs[chosen.id] = both
        (self.born if chosen.id in self.born else self.changed)[chosen.id] = both
        line = self.history[opening.entry]
        step = replace(line.step, reason=chosen.routing)
        self.history[opening.entry] = replace(line, step=step, owner=chosen.owner)
        self.published[opening.row] = qualified(chosen, opening.rule, opening.state)

    def step(self, handoff_id: str, step: Step) -> bool:
        """Let a handoff take a step; False where it stands there already. Raises IllegalStepError, KeyError."""
        before = self.handoffs[handoff_id]
        if not changes(before.state, step.state):
            return False
        after = self._timed(replace(before, state=step.state, revision=before.revision + 1), step)
        self.put(after, step)
        rule = self.book.rule(after.rule)
        self.published.append(outcome(after, step, rule.recycle if rule is not None else None))
        return True

    def _timed(self, handoff: Handoff, step: Step) -> Handoff:
        """Deadlines after a step: accepted leads are to be decided, all others wait for nothing more."""
        decide_by = handoff.decide_by
        if step.state == ACCEPTED:
            queue = self.book.queue(handoff.queue)
            decide_by = queue.deadline(step.at, queue.decide_within)
        return replace(
            handoff,
            decide_by=decide_by,
            due_at=decide_by if step.state == ACCEPTED else None,
            breaches=0,
            assign_at=None,
            rests_until=step.until if step.state == RECYCLED else None,
        )

    def answer(self, handoff_id: str, step: Step, now: datetime) -> bool:
        """As `step`, for the word of sales: one that comes too late meets an expired handoff, one that comes before the
        hand-over is illegal.
        """
        self.expire_if_due(handoff_id, now)
        handoff = self.handoffs[handoff_id]
        if handoff.handed_over_at is None and handoff.state in WAITING:
            raise IllegalStepError("not handed over yet", step.state)
        return self.step(handoff_id, step)

    def give(self, handoff_id: str, owner: str | None, step_by: str, reason: str, now: datetime) -> Handoff:
        """Give a handoff to a member of its queue, or back to the queue (owner None), with the response time anew.

        An accepted one stays accepted. A handoff that somebody is given after its hand-over is `assigned`, and
        subscribers are told; one that went back to the queue is `qualified` again. Raises IllegalStepError.
        """
        before = self.handoffs[handoff_id]
        if is_closed(before.state) or before.handed_over_at is None:
            raise IllegalStepError(before.state, ASSIGNED)
        queue, waiting = self.book.queue(before.queue), before.state in WAITING
        state = before.state if not waiting else QUALIFIED if owner is None else ASSIGNED
        span = queue.respond_within if waiting else queue.decide_within
        by = queue.deadline(now, span) if owner is not None else None
        step = Step(state, now, step_by, reason)
        after = replace(
            before, state=state, owner=owner, revision=before.revision + 1, due_at=by, breaches=0, assign_at=None
        )
        if by is not None:
            after = replace(after, respond_by=by) if waiting else replace(after, decide_by=by)
        self.put(after, step, ASSIGNMENT)
        if state == ASSIGNED:
            self.published.append(outcome(after, step, None))
        return after

    def expire_if_due(self, handoff_id: str, now: datetime) -> bool:
        """Expire a handoff that sales left without an answer for too long; returns whether it was."""
        handoff = self.handoffs[handoff_id]
        if handoff.state not in WAITING or handoff.close_at > now:
            return False
        return self.step(handoff_id, expiry(handoff, handoff.close_at))

    def closed(self, handoff_id: str | None, at: datetime) -> bool:
        """Whether nothing of the last cycle is open at the judged instant; what nobody answered expires here."""
        handoff = self.handoffs.get(handoff_id) if handoff_id else None
        if handoff is None:
            return True
        if unanswered_at(handoff, at):
            self.step(handoff.id, expiry(handoff, handoff.expires_at))
            return True
        return closed_at(handoff, at)

    def state_of(self, handoff_id: str | None) -> str | None:
        """Where a handoff in hand stands."""
        handoff = self.handoffs.get(handoff_id) if handoff_id else None
        return None if handoff is None else handoff.state

    def keep_older(self, one: str | None, other: str | None, at: datetime) -> str | None:
        """Of the handoffs of two merged leads under one rule the older open one stays, the other closes as `merged`.

        Returns the one that the survivor's next cycle has to wait for.
        """
        known = [self.handoffs[name] for name in (one, other) if not self.closed(name, at) and name is not None]
        known.sort(key=lambda item: (is_closed(item.state), item.crossed_at, item.handed_over_at or at, item.id))
        for younger in known[1:]:
            if not is_closed(younger.state):
                self.step(younger.id, Step(MERGED, at, SELF, f"merged into handoff {known[0].id}"))
        return known[0].id if known else None
