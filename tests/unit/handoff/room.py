"""Leads judged in memory, as one long transaction would."""

from datetime import datetime
from typing import Any

from services.handoff.core.assigning import Assigner, Workload
from services.handoff.core.handoff import Handoff, Step
from services.handoff.core.judging import Judging, LeadMemory
from services.handoff.core.ledger import Ledger
from services.handoff.core.rules import Rule, Rulebook
from services.handoff.core.state import encode_state, stored_state
from shared.events import unpack_headers
from tests.unit.handoff.builders import day, rule, state

HOT, WARM = rule(), rule(name="warm", enter=30, leave=20)

NOW = day(200)


class Room:
    """Some leads under some rules."""

    def __init__(self, *rules: Rule, now: datetime = NOW) -> None:
        rules = rules or (HOT,)
        book = Rulebook(rules, {one.to.name: one.to for one in rules}, 7)
        self.judging = Judging(rules, {}, Ledger((), book), now)
        self.versions: dict[str, int] = {}

    def take(self, lead: str, score: float | None, at: float, *, silent: bool = False, **more: Any) -> None:
        self.versions[lead] = self.versions.get(lead, 0) + 1
        published = state(score, at, **{"lead_id": lead, "version": self.versions[lead], **more})
        for name in published.named:
            self.judging.leads.setdefault(name, LeadMemory())
        self.judging.take(published, silent=silent)

    def raised(self) -> list[tuple[str, str, int]]:
        return [(item.lead_id, item.rule, item.cycle) for item in self.judging.ledger.handoffs.values()]

    def standing(self) -> dict[tuple[str, int], str]:
        return {(item.lead_id, item.cycle): item.state for item in self.judging.ledger.handoffs.values()}

    def answer(self, cycle: int, outcome: str, lead: str = "a") -> None:
        found = [item for item in self.judging.ledger.handoffs.values() if (item.lead_id, item.cycle) == (lead, cycle)]
        self.judging.ledger.step(found[0].id, Step(outcome, day(1), "sato", "reason"))

    @property
    def ledger(self) -> Ledger:
        return self.judging.ledger

    @property
    def only(self) -> Handoff:
        (handoff,) = self.ledger.handoffs.values()
        return handoff

    def types(self) -> list[str]:
        """The event types that were published."""
        return [dict(unpack_headers(row.headers)).get("ce_type", b"").decode() for row in self.ledger.published]

    def route(self, now: datetime | None = None) -> Workload:
        """Choose owners for what was handed over."""
        workload = Workload()
        Assigner(self.ledger, workload, now or self.judging.now).openings()
        return workload

    def keep(self) -> None:
        """What a restart leaves of the leads' last states."""
        for name, memory in self.judging.leads.items():
            if memory.last is not None:
                kept = stored_state(encode_state(memory.last, whole=memory.may_be_handed_over))
                self.judging.leads[name] = LeadMemory(memory.version, memory.merged_into, kept, memory.rules)
