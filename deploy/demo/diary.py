"""What one person did, as it is made up: moments, each reported by a source under some identifier."""

from dataclasses import dataclass, field
from typing import Any, Literal

from deploy.demo.dice import Dice
from deploy.demo.people import Person

DAY = 86_400
HOUR = 3_600
Known = Literal["best", "browser", "phone", "external", "all"]
"""By what the source knows the person: the strongest identifier, one weaker one alone, or all there are."""

# The most half points that one activity of a type can earn under the shipped model. A page is half a point.
HALF_POINTS = {
    "document_downloaded": 10, "document_requested": 10, "seminar_attended": 20, "webinar_attended": 20,
    "seminar_registered": 6, "webinar_registered": 6, "exhibition_visited": 10, "card_exchanged": 6,
    "inquiry_sent": 30, "demo_requested": 40, "quote_requested": 40, "trial_started": 30, "meeting_booked": 20,
    "meeting_held": 30, "call_connected": 6, "form_submitted": 4, "newsletter_subscribed": 4, "ad_lead_submitted": 6,
    "order_placed": 20, "email_opened": 2, "email_clicked": 6, "email_replied": 16, "page_viewed": 1,
}  # fmt: skip
PRICING = 7
SOURCE_OF = {
    "page": "website", "form": "website", "document": "website", "newsletter": "website", "inquiry": "website",
    "demo": "website", "trial": "website", "email": "mail", "webinar": "webinar", "seminar": "seminar",
    "exhibition": "exhibition", "card": "exhibition", "ad": "ads",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Moment:
    """One activity before it has an id. `at` in seconds from the start of the sample."""

    at: int
    type: str
    source: str
    lead: dict[str, Any]
    attributes: dict[str, Any]
    properties: dict[str, Any]
    consent: bool


@dataclass(slots=True)
class Diary:
    """Collects the moments of one person; `left` half points may still be earned, None for as many as there come."""

    person: Person
    dice: Dice
    days: int
    left: int | None
    moments: list[Moment] = field(default_factory=list)

    def add(
        self,
        type_: str,
        at: int,
        properties: dict[str, Any] | None = None,
        *,
        known: Known = "best",
        details: bool = False,
        most: int | None = None,
    ) -> bool:
        """Write a moment down, unless it lies after the sample or could earn more than what is left.

        Says whether it did.
        """
        if at >= self.days * DAY:
            return False
        cost = HALF_POINTS.get(type_, 0) if most is None else most
        if self.left is not None:
            if cost > self.left:
                return False
            self.left -= cost
        source = SOURCE_OF.get(type_.partition("_")[0], "crm")
        self.moments.append(
            Moment(
                # What would lie before the sample happens in office hours of its first day.
                at=at if at >= 0 else 9 * HOUR + at % (8 * HOUR),
                type=type_,
                source=source,
                lead=self._lead(known),
                attributes=self._attributes(details),
                properties=properties or {},
                consent=details and source == "website",
            )
        )
        return True

    def time(self, day: int, opens: int = 8, closes: int = 22) -> int:
        """Some second of a day between two hours, the last one exclusive."""
        return day * DAY + self.dice.between(opens * HOUR, closes * HOUR - 1)

    def _attributes(self, details: bool) -> dict[str, Any]:
        if details:
            return self.person.attributes
        return {"name": self.person.name} if self.person.kind == "mailbox" else {}

    def _lead(self, known: Known) -> dict[str, Any]:
        person = self.person
        everything: dict[str, Any] = {
            "email": person.email if person.kind in {"email", "mailbox"} else None,
            "external_ids": {"crm": person.external} if person.external and person.kind != "mailbox" else None,
            "phone": person.phone if person.kind in {"email", "phone"} else None,
            "anonymous_id": person.browser if person.kind in {"email", "browser"} else None,
        }
        present = {name: value for name, value in everything.items() if value}
        wanted = {"browser": "anonymous_id", "phone": "phone", "external": "external_ids"}.get(known)
        if wanted in present:
            return {wanted: present[wanted]}
        if known == "all":
            return present
        return dict([next(iter(present.items()))])
