"""Whether those who responded to a mail were met more often than those who did not: a difference, and no experiment."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.clock import to_rfc3339
from shared.durations import format_duration
from shared.shares import Difference, Share

FEW = 25
"""Below so many leads in a group, or so many appointments in all, the figures say next to nothing."""
NO_EXPERIMENT = (
    "This is no experiment: who responds differs from who does not in more than the mail. The difference is what was"
    " seen, not what the mail caused."
)


@dataclass(frozen=True, slots=True)
class ResponseQuestion:
    """Which mail: by `email_id` or `campaign`; `link` narrows the responses to clicks on links that contain it.

    An appointment is an activity of one of `appointments` within `within` after the mail was delivered to that lead.
    Mails delivered from `start` (inclusive) to `end` (exclusive) count; None: without bound.
    """

    email_id: str | None
    campaign: str | None
    link: str | None
    appointments: Sequence[str]
    within: timedelta
    start: datetime | None
    end: datetime | None


@dataclass(frozen=True, slots=True)
class Responses:
    """How many leads got the mail and clicked or did not, and how many of each had an appointment. Activities from
    before `removed_before` were removed for their age.
    """

    responded: Share
    silent: Share
    removed_before: datetime | None = None


def report(question: ResponseQuestion, found: Responses) -> dict[str, Any]:
    """The answer: both shares, their difference with its 95 % interval, and what it does not say."""
    return {
        "email_id": question.email_id,
        "campaign": question.campaign,
        "link": question.link,
        "appointments": list(question.appointments),
        "within": format_duration(question.within),
        "from": to_rfc3339(question.start) if question.start else None,
        "to": to_rfc3339(question.end) if question.end else None,
        "responded": found.responded.to_json(),
        "not_responded": found.silent.to_json(),
        "difference": Difference(found.responded, found.silent).to_json(),
        "warnings": [*_warnings(found), *_unseen(question, found.removed_before)],
    }


def _unseen(question: ResponseQuestion, cut: datetime | None) -> list[str]:
    if cut is None or (question.start is not None and question.start >= cut):
        return []
    return [f"Activities from before {to_rfc3339(cut)} were removed for their age: mails of that time are not seen."]


def _warnings(found: Responses) -> list[str]:
    said = [NO_EXPERIMENT]
    leads, met = found.responded.of + found.silent.of, found.responded.hits + found.silent.hits
    if not leads:
        return [*said, "No lead has an email_delivered activity of this mail, so nobody knows who got it."]
    if min(found.responded.of, found.silent.of) < FEW or met < FEW:
        said.append(f"Too few: {leads} leads, {met} appointments. At least {FEW} in each group and {FEW} in all.")
    return said
