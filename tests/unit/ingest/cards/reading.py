"""What the tests of lists share: a list read as the service reads it."""

import io
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from services.ingest.cards.listing import Layout, Listing, read_layout
from services.ingest.cards.options import CardOptions
from services.ingest.cards.outcomes import Outcome, Summary
from services.ingest.cards.report import posted_of

NOW = datetime(2026, 11, 26, 3, 0, tzinfo=UTC)
HEADER = "会社名,部署名,役職,氏名,e-mail,携帯電話,TEL会社,名刺交換日"
LIMIT = 65_536


@dataclass(frozen=True, slots=True)
class Read:
    """A list with what became of its records."""

    layout: Layout
    outcomes: list[Outcome]
    summary: Summary

    def posted(self, record: int = 1) -> dict[str, Any]:
        """The activity of an accepted record."""
        activity = self.outcomes[record - 1].activity
        assert activity is not None, self.texts(record)
        return posted_of(activity)

    def texts(self, record: int = 1) -> list[str]:
        """Its notes."""
        return [note.text("en") for note in self.outcomes[record - 1].notes]

    def codes(self, record: int = 1) -> set[str]:
        """The codes of its notes."""
        return {note.code for note in self.outcomes[record - 1].notes}

    @property
    def statuses(self) -> list[str]:
        return [outcome.status for outcome in self.outcomes]

    @property
    def ids(self) -> list[str]:
        return [outcome.activity.id for outcome in self.outcomes if outcome.activity]


def read(data: bytes | str, limit: int = LIMIT, **options: Any) -> Read:
    """Read a list; a text is written in UTF-8."""
    file = io.BytesIO(data.encode() if isinstance(data, str) else data)
    chosen = CardOptions(**options)
    layout = read_layout(file, chosen)
    listing = Listing(file, layout, chosen, now=NOW, max_activity_bytes=limit)
    outcomes = list(listing.outcomes())
    return Read(listing.layout, outcomes, listing.summary)


def one(header: str, *cells: str, **options: Any) -> Read:
    """A list of one record."""
    row = ",".join('"' + cell.replace('"', '""') + '"' for cell in cells)
    return read(f"{header}\r\n{row}\r\n", **options)
