"""What became of the records of a list, one by one and in all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from services.ingest.cards.notes import Note
from shared.activity import Activity

MOST_BYTES_A_CHARACTER = 12
"""Of a text in JSON, at the worst (a character beyond the BMP, escaped)."""

Status = Literal["accepted", "refused", "empty"]


@dataclass(slots=True)
class Outcome:
    """What became of one record; numbers from 1, the first after the header. `duplicate`: it was in the list before."""

    record: int
    line: int
    status: Status
    notes: list[Note] = field(default_factory=list)
    activity: Activity | None = None
    duplicate: bool = False


@dataclass(slots=True)
class Summary:
    """What became of a whole list."""

    records: int = 0
    accepted: int = 0
    refused: int = 0
    empty: int = 0
    duplicates: int = 0
    without_consent: int = 0
    opt_outs: int = 0
    with_notes: int = 0
    notes: list[Note] = field(default_factory=list)

    def count(self, outcome: Outcome, *, agreed: bool, opted_out: bool = False) -> None:
        """Add one record: whether a consent of any kind goes with it, and whether one withdraws something."""
        self.records += 1
        if outcome.status == "accepted":
            self.accepted += 1
            self.with_notes += bool(outcome.notes)
            self.duplicates += outcome.duplicate
            self.without_consent += not agreed
            self.opt_outs += opted_out
        elif outcome.status == "refused":
            self.refused += 1
        else:
            self.empty += 1

    def count_common(self, outcome: Outcome) -> None:
        """Add an accepted record, of which its activity tells the rest."""
        assert outcome.activity is not None
        consent = outcome.activity.consent
        self.records += 1
        self.accepted += 1
        if consent is None:
            self.without_consent += 1
        elif False in consent.values():
            self.opt_outs += 1
        if outcome.notes:
            self.with_notes += 1
            self.duplicates += outcome.duplicate

    def count_all(self, consents: Sequence[Mapping[str, Any] | None], with_notes: int) -> None:
        """Add accepted records that are no duplicates, by the consents of their activities."""
        self.records += len(consents)
        self.accepted += len(consents)
        self.with_notes += with_notes
        without = consents.count(None)
        self.without_consent += without
        if without < len(consents):
            self.opt_outs += sum(consent is not None and False in consent.values() for consent in consents)
