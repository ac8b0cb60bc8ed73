"""Owners for the handoffs in hand: how much each member has taken today, who gets the next, who an overdue one."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from services.handoff.core.handoff import SELF, Handoff, Step
from services.handoff.core.ledger import BREACH, Ledger
from services.handoff.core.lifecycle import Breach, overdue
from services.handoff.core.queues import ReadyQueue
from services.handoff.core.routing import Choice, choose
from services.handoff.core.state import LeadState
from services.handoff.core.states import WAITING
from services.handoff.core.values import WorkSpan

REMINDED, REASSIGNED, RETURNED = "reminded", "reassigned", "returned"


@dataclass(slots=True)
class Workload:
    """What members have been given: per queue and day, how many each. `changed` is to be written."""

    taken: dict[tuple[str, date], dict[str, int]] = field(default_factory=dict)
    changed: set[tuple[str, date, str]] = field(default_factory=set)

    def of(self, queue: str, day: date) -> Mapping[str, int]:
        """How many each member of a queue has that day."""
        return self.taken.get((queue, day), {})

    def add(self, queue: str, day: date, member: str) -> None:
        """One more."""
        counts = self.taken.setdefault((queue, day), {})
        counts[member] = counts.get(member, 0) + 1
        self.changed.add((queue, day, member))


class Assigner:
    """Chooses owners at one instant. Seeds follow from the handoff and its revision; `full` has the queues that found
    nobody for a handoff that waits, and when they can be asked again.
    """

    def __init__(self, ledger: Ledger, workload: Workload, now: datetime) -> None:
        self.ledger = ledger
        self.workload = workload
        self.now = now
        self.full: dict[str, datetime] = {}
        self._days: dict[str, date] = {}
        self._openings: dict[str, datetime] = {}

    def openings(self) -> None:
        """Give an owner to everything that was just handed over."""
        for opening in self.ledger.openings:
            choice = self.choose(opening.handoff, opening.state)
            self.ledger.assigned(opening, self._with(opening.handoff, choice))
        self.ledger.openings.clear()

    def choose(self, handoff: Handoff, lead: LeadState | None, without: Collection[str] = ()) -> Choice:
        """Who gets it; takes up capacity."""
        queue = self.ledger.book.queue(handoff.queue)
        day = self.day(queue)
        seed = f"{handoff.id}:{handoff.revision}"
        choice = choose(queue, lead, self.workload.of(queue.name, day), day, seed, without=without)
        if choice.owner is not None:
            self.workload.add(queue.name, day, choice.owner)
        return choice

    def day(self, queue: ReadyQueue) -> date:
        """The day whose capacity is used up; worked out once, as a run asks thousands of times."""
        if queue.name not in self._days:
            self._days[queue.name] = queue.working_day(self.now)
        return self._days[queue.name]

    def later(self, queue: ReadyQueue) -> datetime:
        """When the queue has capacity again."""
        if queue.name not in self._openings:
            self._openings[queue.name] = queue.next_opening(self.day(queue))
        return self._openings[queue.name]

    def _with(self, handoff: Handoff, choice: Choice) -> Handoff:
        assign_at = self._assign_at(handoff, choice)
        return replace(handoff, owner=choice.owner, routing=routing_text(choice), assign_at=assign_at)

    def _assign_at(self, handoff: Handoff, choice: Choice) -> datetime | None:
        return self.later(self.ledger.book.queue(handoff.queue)) if choice.later else None

    def waiting(self, handoff: Handoff, lead: LeadState | None, tried: Collection[str] = ()) -> None:
        """Look for an owner once more for a handoff that found all capacity used up; not among those who had it."""
        choice = self.choose(handoff, lead, without=tried)
        if choice.owner is None:
            later = self._assign_at(handoff, choice)
            # That those who are left for one lead are full says nothing of the others.
            if later is not None and not tried:
                self.full[handoff.queue] = later
            self._keep(replace(handoff, assign_at=later))
            return
        given = self.ledger.give(handoff.id, choice.owner, SELF, routing_text(choice), self.now)
        given = replace(given, routing=routing_text(choice))
        # Its deadline runs since the hand-over; that nobody was free is no reason to let the lead wait longer. Where
        # that has passed twice and nothing runs any more, time begins anew as for everybody who is given such a lead.
        if handoff.due_at is not None:
            given = replace(given, respond_by=handoff.respond_by, due_at=handoff.due_at, breaches=handoff.breaches)
        self._keep(given)

    def give(self, handoff: Handoff, owner: str | None, by: str, reason: str) -> None:
        """Give it to whom somebody named, whatever the capacity; it counts all the same."""
        self.ledger.give(handoff.id, owner, by, reason, self.now)
        queue = self.ledger.book.queue(handoff.queue)
        if owner is not None and any(member.name == owner for member in queue.members):
            self.workload.add(queue.name, self.day(queue), owner)

    def reassign(
        self, handoff: Handoff, lead: LeadState | None, by: str, reason: str | None, tried: Collection[str]
    ) -> Handoff:
        """Give it to somebody who has not had it yet, or back to the queue; there it waits for a day on which one of
        them has capacity.
        """
        choice = self.choose(handoff, lead, without=tried)
        why = f"{reason}: {routing_text(choice)}" if reason else routing_text(choice)
        given = self.ledger.give(handoff.id, choice.owner, by, why, self.now)
        assign_at = self._assign_at(handoff, choice)
        return self._keep(replace(given, routing=routing_text(choice), assign_at=assign_at))

    def breach(self, handoff: Handoff, lead: LeadState | None, tried: Collection[str]) -> None:
        """A deadline has passed: the first time people are reminded, the second time somebody else gets the lead."""
        assert handoff.due_at is not None
        queue = self.ledger.book.queue(handoff.queue)
        which = "respond" if handoff.state in WAITING else "decide"
        number = handoff.breaches + 1
        text = f"no {'answer' if which == 'respond' else 'decision'} in time, breach {number}"
        if number == 1:
            span = queue.respond_within if which == "respond" else queue.decide_within
            after = self._remind(handoff, self._second_deadline(queue, handoff.due_at, span), text)
            action = REMINDED
        else:
            after = self.reassign(handoff, lead, SELF, text, {*tried, handoff.owner or ""})
            action = RETURNED if after.owner is None else REASSIGNED
        new_owner = after.owner if action == REASSIGNED else None
        told = Breach(number, which, handoff.due_at, action, handoff.owner, new_owner, self.now)
        self.ledger.breached += 1
        self.ledger.published.append(overdue(after, told, queue.head))

    def _remind(self, handoff: Handoff, due_at: datetime | None, text: str) -> Handoff:
        after = replace(handoff, breaches=1, due_at=due_at, revision=handoff.revision + 1)
        self.ledger.put(after, Step(after.state, self.now, SELF, text), BREACH)
        return after

    def _second_deadline(self, queue: ReadyQueue, first: datetime, span: WorkSpan | None) -> datetime | None:
        """It follows the first one; where that was noticed so late that this has passed too, it counts from now."""
        punctual = queue.deadline(first, span)
        return punctual if punctual is not None and punctual > self.now else queue.deadline(self.now, span)

    def _keep(self, handoff: Handoff) -> Handoff:
        self.ledger.handoffs[handoff.id] = self.ledger.changed[handoff.id] = handoff
        return handoff


def routing_text(choice: Choice) -> str:
    """The choice as it is kept: for people, with the seed that gives it again."""
    return f"{choice.reason} (seed {choice.seed})"
