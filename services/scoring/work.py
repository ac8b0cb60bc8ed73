"""A batch of activities on its way to new states of their leads."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from services.scoring.advancing import Advanced
from services.scoring.core.events import Word
from services.scoring.core.lead import LeadState
from services.scoring.core.linking import KnownOwners, Owner, Placement
from services.scoring.core.verdicts import Verdict
from services.scoring.lead_row import LeadRow, new_row
from services.scoring.repository import Key, LostRaceError
from shared.activity import Activity
from shared.events import OutboxRow
from shared.identity import Identifier


@dataclass(slots=True)
class Work:
    """What was read, and what is to be written."""

    fresh: Mapping[Key, Activity]
    placement: Placement
    known: dict[Identifier, Owner]
    rows: dict[str, LeadRow]
    """Locked, and not written yet."""
    ready: list[str] = field(default_factory=list)
    """Those of `rows` that are brought up to date, and in `published` what is to be published of them."""
    published: list[OutboxRow] = field(default_factory=list)
    states: dict[str, LeadState] = field(default_factory=dict)
    """Of the leads of clusters alone."""
    merged: dict[str, str] = field(default_factory=dict)
    parted: dict[str, str] = field(default_factory=dict)
    """Leads that were a part of another one until now."""
    redirects: dict[str, str] = field(default_factory=dict)
    moves: dict[Key, tuple[str, str]] = field(default_factory=dict)
    clustered: set[str] = field(default_factory=set)
    unpaid: dict[Key, Verdict] = field(default_factory=dict)
    word: Word | None = None
    by_lead: dict[str, list[Activity]] = field(default_factory=dict)

    def sort_by_lead(self) -> None:
        """Note the new activities by lead, in fold order: that in which they were placed."""
        self.by_lead = defaultdict(list)
        for key, lead_id in self.placement.lead_of.items():
            self.by_lead[lead_id].append(self.fresh[key])

    def row_of(self, lead_id: str) -> LeadRow:
        """The row of a lead, a new one if it is not known yet."""
        return self.rows.setdefault(lead_id, new_row(lead_id))

    def take(self, leads: Sequence[Advanced]) -> list[Advanced]:
        """Take in what was made of leads; returns those that must be folded again."""
        for lead in leads:
            self.rows[lead.row.id] = lead.row
            if lead.again is None:
                self.ready.append(lead.row.id)
                self.published += lead.published
                self.unpaid.update(lead.unpaid)
        return [lead for lead in leads if lead.again is not None]

    def take_ready(self) -> tuple[list[LeadRow], list[OutboxRow]]:
        """The leads that are ready, to be written, and what is to be published of them; both are out of here then."""
        rows, published = [self.rows.pop(lead_id) for lead_id in self.ready], self.published
        self.ready, self.published = [], []
        return rows, published


def check_unmoved(known: KnownOwners, touched: set[str], rows: Mapping[str, LeadRow]) -> None:
    """Raises LostRaceError where leads are not what the owners read before their lock say."""
    for lead_id, epoch in known.epochs.items():
        if lead_id in touched and (lead_id not in rows or rows[lead_id].epoch != epoch):
            raise LostRaceError("a lead was merged or split by another worker")
    for lead_id, row in rows.items():
        # A row without a state holds a version alone, from before the database was restored.
        if lead_id not in known.epochs and row.merged_into is None and row.state:
            raise LostRaceError("a lead was made by another worker")
