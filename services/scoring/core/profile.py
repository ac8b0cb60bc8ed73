"""What is known of a lead beside its points: names, attributes, first and last activity, the latest activities."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from services.scoring.core.consent import words_of
from services.scoring.core.resolution import Order, strongest_first
from shared.activity import Activity
from shared.clock import from_micros, to_micros, to_rfc3339
from shared.identity import ANONYMOUS, EMAIL, EXTERNAL, Identifier

RECENT = 10
MAX_RECENT_BYTES = 2_048
"""Properties larger than this are left out of the list of recent activities; the activity itself keeps them."""
MAX_ANONYMOUS = 20
"""A browser that forgets its id each time must not make the state grow without end."""
MAX_EMAILS, MAX_EXTERNAL = 100, 500
"""Of a lead's other names so many are shown; all of them name it."""
MAX_ATTRIBUTES, MAX_ATTRIBUTE_BYTES = 250, 16_384
"""Of a lead, by name, and of one value as JSON: what is beyond stays on the activity alone. Whoever may post, with
a page tag everybody, could make a lead larger than a record can be.
"""


@dataclass(slots=True)
class Profile:
    """One lead's profile, folded from its activities in fold order.

    `latest` are the latest activities as JSON, one a line, newest first: they are passed on far more often than read.
    """

    identifiers: list[Identifier] = field(default_factory=list)
    email: str | None = None
    phone: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    first: Order | None = None
    last: Order | None = None
    count: int = 0
    latest: bytes = b""
    consent: dict[str, tuple[int, bool]] = field(default_factory=dict)

    def add(self, activities: Sequence[Activity]) -> None:
        """Fold `activities`, which are all later in the fold order than those folded before."""
        if not activities:
            return
        self.first = self.first or activities[0].order
        self.last = activities[-1].order
        self.count += len(activities)
        self.learn(activities)
        self.latest = _first_lines(b"\n".join([*map(brief, activities[: -RECENT - 1 : -1]), self.latest]))

    def learn(self, activities: Iterable[Activity]) -> None:
        """Take in what activities, in fold order, say about the lead; they are counted nowhere."""
        for activity in activities:
            self.email = activity.email or self.email
            self.phone = activity.phone or self.phone
            for name, value in activity.attributes.items():
                if value is not None and value != "" and self._has_room(name, value):
                    self.attributes[name] = value
            if activity.consent:
                self._agree(activity)

    def _agree(self, activity: Activity) -> None:
        for word in words_of(activity):
            at = to_micros(word.at)
            if word.purpose not in self.consent or self.consent[word.purpose][0] <= at:
                self.consent[word.purpose] = (at, word.granted)

    def _has_room(self, name: str, value: Any) -> bool:
        if len(self.attributes) >= MAX_ATTRIBUTES and name not in self.attributes:
            return False
        # No character of a short text takes more than six bytes, and no number takes as many as a long one.
        if (type(value) is str and len(value) * 6 < MAX_ATTRIBUTE_BYTES) or not isinstance(value, (str, list, dict)):
            return True
        return len(orjson.dumps(value)) <= MAX_ATTRIBUTE_BYTES

    def own(self, identifiers: Iterable[Identifier]) -> None:
        """Add identifiers that this lead was given; those of another lead in its activities stay with that one."""
        self.identifiers = sorted({*self.identifiers, *identifiers}, key=strongest_first)

    @property
    def recent(self) -> list[dict[str, Any]]:
        """The latest activities, newest first."""
        found: list[dict[str, Any]] = orjson.loads(self.latest_listed)
        return found

    @property
    def latest_listed(self) -> bytes:
        """The latest activities as one JSON list."""
        # No text in JSON holds a line's end.
        return b"[%b]" % self.latest.replace(b"\n", b",")

    @property
    def has_email(self) -> bool:
        """Whether an address names the lead: the strongest identifier is one then."""
        return bool(self.identifiers) and self.identifiers[0].kind == EMAIL

    @property
    def email_domain(self) -> str | None:
        """The domain of the lead's strongest e-mail address."""
        address = self.identifiers[0].value if self.has_email else self.email
        return address.rpartition("@")[2] if address else None

    @property
    def search_text(self) -> str:
        """What a search looks through: folded name, company and address."""
        parts = [self.email, self.attributes.get("name"), self.attributes.get("company")]
        return " ".join(part for part in parts if isinstance(part, str)).casefold()

    def identifiers_out(self) -> dict[str, Any]:
        """The identifiers as the API and the events show them."""
        emails = [item.value for item in self.identifiers if item.kind == EMAIL]
        external: dict[str, str] = {}
        for item in self.identifiers:
            if item.kind == EXTERNAL:
                source, _, value = item.value.partition(":")
                if len(external) < MAX_EXTERNAL:
                    external.setdefault(source, value)
        return {
            "email": emails[0] if emails else self.email,
            "emails": emails[:MAX_EMAILS] or ([self.email] if self.email else []),
            "phone": self.phone,
            "anonymous_ids": [item.value for item in self.identifiers if item.kind == ANONYMOUS][:MAX_ANONYMOUS],
            "external_ids": external,
        }

    def consent_out(self) -> dict[str, bool]:
        """Per purpose the lead's last word."""
        return {purpose: granted for purpose, (_, granted) in sorted(self.consent.items())}

    def encode(self) -> list[Any]:
        """Plain data for storage, without the latest activities; `decode` reads it back."""
        return [
            [list(item) for item in self.identifiers],
            self.email,
            self.phone,
            self.attributes,
            _pack(self.first),
            _pack(self.last),
            self.count,
            [],
            *([self.consent] if self.consent else []),
        ]

    @classmethod
    def decode(cls, data: list[Any], latest: bytes) -> "Profile":
        """The profile that `encode` gave, with its `latest` activities."""
        identifiers, email, phone, attributes, first, last, count, recent, *more = data
        return cls(
            [Identifier(*item) for item in identifiers],
            email,
            phone,
            attributes,
            _unpack(first),
            _unpack(last),
            count,
            latest or b"\n".join(map(orjson.dumps, recent)),  # where an earlier release kept them
            {purpose: (at, granted) for purpose, (at, granted) in (more[0] if more else {}).items()},
        )


def brief(activity: Activity) -> bytes:
    """An activity as the list of recent ones shows it, as JSON."""
    shown: dict[str, Any] = {
        "id": activity.id,
        "source": activity.source,
        "type": activity.type,
        "occurred_at": to_rfc3339(activity.occurred_at),
    }
    if activity.properties:
        properties = orjson.dumps(activity.properties)
        small = len(properties) <= MAX_RECENT_BYTES
        shown["properties"] = orjson.Fragment(properties) if small else {}
        if not small:
            shown["properties_omitted"] = True
    return orjson.dumps(shown)


def _first_lines(text: bytes) -> bytes:
    """As many as are kept; the last one of `text` may be empty and does not count."""
    # A tenth of what `count` takes.
    surplus = len(text) - len(text.replace(b"\n", b"")) + 1 - RECENT
    return text.rsplit(b"\n", surplus)[0] if surplus > 0 else text.removesuffix(b"\n")


def first_at(profile: Profile) -> datetime | None:
    """When the lead's first activity happened."""
    return profile.first[0] if profile.first else None


def last_at(profile: Profile) -> datetime | None:
    """When the lead's latest activity happened."""
    return profile.last[0] if profile.last else None


def _pack(order: Order | None) -> list[Any] | None:
    return [to_micros(order[0]), order[1], order[2]] if order else None


def _unpack(data: list[Any] | None) -> Order | None:
    return (from_micros(data[0]), data[1], data[2]) if data else None


def instant_out(instant: datetime | None) -> str | None:
    """An instant for JSON, None as it is."""
    return to_rfc3339(instant) if instant else None


def identifiers_of(activities: Iterable[Activity]) -> Mapping[Identifier, None]:
    """The distinct identifiers of `activities`, in order of appearance."""
    return dict.fromkeys(identifier for activity in activities for identifier in activity.identifiers)
