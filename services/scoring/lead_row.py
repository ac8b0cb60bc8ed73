"""A lead as the database keeps it."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(slots=True)
class LeadRow:
    """A lead as stored: `state` is the packed folded state, empty for a lead that was merged away.

    `due_at` counts where `due_moved`: when the timer shall look at the lead, None for never.
    `contact` is what its account has to know, if it was evaluated and belongs to one.
    """

    id: str
    merged_into: str | None
    epoch: int
    version: int
    has_email: bool
    state: bytes
    score: float | None = None
    search: str = ""
    due_at: datetime | None = None
    due_moved: bool = False
    contact: bytes = b""

    @property
    def concerns_accounts(self) -> bool:
        """Whether an account has to hear of a change of this lead: it belongs to one, or may have until now."""
        return bool(self.contact) or self.epoch > 0 or not self.state


def new_row(lead_id: str) -> LeadRow:
    """Of a lead that is not known yet."""
    return LeadRow(lead_id, None, 0, 0, False, b"")
