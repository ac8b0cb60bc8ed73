"""What of a lead's stored activities an explanation of the past may use."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from services.scoring.core.linking import LeadIdFor
from services.scoring.core.links import Link, links_among
from services.scoring.core.profile import identifiers_of
from services.scoring.core.resolution import resolve_leads
from shared.activity import Activity

Knowledge = Literal["occurred", "recorded"]
OCCURRED: Knowledge = "occurred"
RECORDED: Knowledge = "recorded"


class Recorded(NamedTuple):
    """An activity and when it was stored."""

    activity: Activity
    recorded_at: datetime


def happened_by(stored: Iterable[Recorded], at: datetime) -> list[Activity]:
    """By what is known today: everything that had happened, whenever it was told."""
    return [one.activity for one in stored if one.activity.occurred_at <= at]


@dataclass(frozen=True, slots=True)
class Known:
    """A lead as it was known at an instant: its activities, and the anchors of its entries."""

    activities: Sequence[Activity]
    anchors: frozenset[str]


def known_by(
    stored: Iterable[Recorded], at: datetime, lead_id: str, lead_id_for: LeadIdFor, said: Sequence[Link] = ()
) -> Known:
    """What was stored by `at` of the lead that `lead_id` named then.

    `said` is what people had said by then about who is one person, in order. Records that have become one lead since,
    because of something stored later, are told apart again; empty where nothing was known of that id.
    """
    known = [one.activity for one in stored if one.recorded_at <= at]
    links = links_among(said, identifiers_of(known), lead_id_for)
    groups = resolve_leads(known, joined=links.joined, parted=links.parted)
    for group in groups:
        anchors = frozenset(map(lead_id_for, group.identifiers))
        if lead_id in anchors:
            return Known([one for one in group.activities if one.occurred_at <= at], anchors)
    return Known((), frozenset())
