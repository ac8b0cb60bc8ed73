"""What a replay has found."""

from dataclasses import dataclass, field
from typing import Any

FIRST = "00000000-0000-0000-0000-000000000000"
"""Stands before every id."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A lead (or an account) that is not what is stored beneath it gives; `stored` and `folded` are what differs."""

    lead_id: str
    what: str
    stored: Any
    folded: Any

    def to_json(self) -> dict[str, Any]:
        """As printed."""
        return {"lead_id": self.lead_id, "what": self.what, "stored": self.stored, "folded": self.folded}


@dataclass(slots=True)
class Replay:
    """What was found. `waiting` leads are about to be brought up to date by the service and were not compared."""

    leads: int = 0
    activities: int = 0
    accounts: int = 0
    waiting: int = 0
    differences: list[Difference] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As printed with --json."""
        return {
            "leads": self.leads,
            "activities": self.activities,
            "accounts": self.accounts,
            "waiting": self.waiting,
            "differences": [one.to_json() for one in self.differences],
        }
