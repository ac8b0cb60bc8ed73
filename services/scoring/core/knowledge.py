"""What of a lead's stored activities an explanation of the past may use."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from services.scoring.core.resolution import resolve_leads
from shared.activity import Activity
from shared.identity import Identifier

Knowledge = Literal["occurred", "recorded"]
OCCURRED: Knowledge = "occurred"
RECORDED: Knowledge = "recorded"


@dataclass(frozen=True, slots=True)
class Recorded:
    """An activity and when it was stored."""

    activity: Activity
    recorded_at: datetime


def happened_by(stored: Iterable[Recorded], at: datetime) -> list[Activity]:
    """By what is known today: everything that had happened, whenever it was told."""
    return [one.activity for one in stored if one.activity.occurred_at <= at]


def known_by(
    stored: Iterable[Recorded], at: datetime, lead_id: str, lead_id_for: Callable[[Identifier], str]
) -> list[Activity]:
    """What was stored by `at` of the lead that `lead_id` named then.

    Records that have become one lead since, because of something stored later, are told apart again; empty where
    nothing was known of that id.
    """
    known = [one.activity for one in stored if one.recorded_at <= at]
    named = [group for group in resolve_leads(known) if lead_id in map(lead_id_for, group.identifiers)]
    return [activity for group in named for activity in group.activities if activity.occurred_at <= at]
