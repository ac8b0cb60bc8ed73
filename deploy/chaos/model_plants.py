"""Bugs of publications and of the timer, put in on purpose; only a campaign with people who fade can find them."""

import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any

from services.scoring import refold, repository, switching
from services.scoring.core.lead import LeadState


def _switched_without_a_refold() -> None:
    """A lead gets the number of the new version, and keeps what the earlier one had folded."""
    right = vars(switching)["_folded"]

    def folded(models: Any, lead: Any, *of: Any) -> LeadState:
        before = LeadState.unpack(lead.row.state).folds
        after: LeadState = right(models, lead, *of)
        for key, (version, _) in list(after.folds.items()):
            if key in before:
                after.folds[key] = (version, before[key][1])
        return after

    setattr(switching, "_folded", folded)  # noqa: B010 - not to be checked against the module
    setattr(refold, "ACTIVITIES_WORTH_A_HELPER", sys.maxsize)  # noqa: B010 - a helper would know nothing of it


def _left_with_the_earlier_version() -> None:
    """One lead of every chunk is taken for done."""
    right = refold.Refolder._switched

    async def switched(self: Any, reading: Any, *, hold: bool) -> Any:
        return list(await right(self, reading, hold=hold))[:-1]

    setattr(refold.Refolder, "_switched", switched)  # noqa: B010


def _due_forgotten() -> None:
    """Every other lead is never found to be due."""
    right = repository.ScoringRepository.due_leads

    async def due_leads(self: Any, now: datetime, limit: int) -> list[str]:
        return [lead_id for lead_id in await right(self, now, limit) if int(lead_id[-1], 16) % 2]

    setattr(repository.ScoringRepository, "due_leads", due_leads)  # noqa: B010


def _looked_at_twice() -> None:
    """What a process has found due stays due, though another has looked at it meanwhile."""

    async def still_due(_: Any, lead_ids: Any, _now: datetime) -> list[str]:
        return list(lead_ids)

    setattr(repository.ScoringRepository, "still_due", still_due)  # noqa: B010


MODEL_PLANTS: dict[str, tuple[str, Callable[[], None]]] = {
    "switched-without-refold": ("a lead is switched to a version that did not fold it", _switched_without_a_refold),
    "left-behind": ("a publication passes over some leads", _left_with_the_earlier_version),
    "due-forgotten": ("the timer forgets leads that are due", _due_forgotten),
    "looked-at-twice": ("two processes look at one lead that is due", _looked_at_twice),
}
"""What it is in words, and how it is put in."""
