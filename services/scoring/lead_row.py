"""A lead as the database keeps it."""

from dataclasses import dataclass
from datetime import datetime

SELECT_ROWS = "SELECT id::text, merged_into::text, epoch, version, has_email, joined_at, state FROM scoring.lead"
"""Reads what `LeadRow(*row)` takes."""


@dataclass(slots=True)
class LeadRow:
    """A lead as stored: `state` is the packed folded state, empty for a lead that was merged away. `joined_at` is when
    the activity happened by which an identifier came to it last, None while it has but one.

    `due_at` counts where `due_moved`: when the timer shall look at the lead, None for never.
    `contact` is what its account has to know: empty where it belongs to none, None where that was not evaluated since
    the row was read.
    """

    id: str
    merged_into: str | None
    epoch: int
    version: int
    has_email: bool
    joined_at: datetime | None
    state: bytes
    score: float | None = None
    search: str = ""
    due_at: datetime | None = None
    due_moved: bool = False
    contact: bytes | None = None

    @property
    def concerns_accounts(self) -> bool:
        """Whether an account has to hear of a change of this lead: it belongs to one, or may have until now."""
        if not self.state:
            return True
        # What was not evaluated is no news: taken for "none", it would take the lead out of its account.
        return self.contact is not None and (bool(self.contact) or self.epoch > 0)


def new_row(lead_id: str) -> LeadRow:
    """Of a lead that is not known yet."""
    return LeadRow(lead_id, None, 0, 0, False, None, b"")
