"""Which hits are a machine's, looked at pair by pair, to compare the judgement with; shares no code with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import combinations
from typing import Any

FLAGS = {"machine_open", "proxy_open", "prefetched", "synthetic", "machine_click", "bot_activity", "filtered"}


@dataclass(frozen=True)
class Hit:
    """An activity, as far as the judgement looks at it."""

    key: tuple[str, str]
    type: str
    at: datetime
    properties: dict[str, Any]
    signals: dict[str, Any]

    @classmethod
    def of(cls, activity: Any) -> "Hit":
        """From anything that looks like an activity."""
        key, signals = (activity.source, activity.id), activity.signals or {}
        return cls(key, activity.type, activity.occurred_at, activity.properties, signals)

    @property
    def link(self) -> str | None:
        return (self.properties.get("link") or self.signals.get("link")) if self.type == "email_clicked" else None

    @property
    def unsubscribes(self) -> bool:
        return self.type == "email_unsubscribed" or "unsubscribe" in (self.link or "").lower()

    @property
    def mail(self) -> Any:
        return self.properties.get("email_id")


def unpaid(hits: Sequence[Hit]) -> set[tuple[str, str]]:
    """Keys of those that earn nothing."""
    hits = [one for one in hits if one.type in ("email_clicked", "email_opened", "page_viewed", "email_unsubscribed")]
    found = {one.key for one in hits if _says_so_itself(one)}
    for mail in {one.mail for one in hits}:
        clicks = [one for one in hits if one.link and one.mail == mail]
        found |= _bursts([(one, one.link) for one in clicks], timedelta(seconds=10))
    found |= _bursts(
        [(one, one.signals["network"]) for one in hits if one.signals.get("network")], timedelta(seconds=120)
    )
    found |= _bursts(
        [(one, one.properties["ip_network"]) for one in hits if one.properties.get("ip_network")],
        timedelta(seconds=120),
    )
    for one, other in combinations(hits, 2):
        mails = {one.mail, other.mail} - {None}
        if (
            abs(one.at - other.at) <= timedelta(seconds=60)
            and len(mails) < 2
            and one.unsubscribes != other.unsubscribes
        ):
            content = other if one.unsubscribes else one
            if content.link:
                found |= {one.key, other.key}
    return found - {one.key for one in hits if one.type == "email_unsubscribed"}


def _says_so_itself(hit: Hit) -> bool:
    if hit.type == "email_unsubscribed":
        return False
    strong = hit.signals.get("method") == "HEAD" or hit.signals.get("honeypot") is True
    return strong or bool(FLAGS & set(hit.properties.get("bot_signals") or []))


def _bursts(values: Sequence[tuple[Hit, Any]], within: timedelta) -> set[tuple[str, str]]:
    """Everything inside a stretch that begins at some hit and holds three different values."""
    found: set[tuple[str, str]] = set()
    for first, _ in values:
        inside = [(one, value) for one, value in values if timedelta() <= one.at - first.at <= within]
        if len({value for _, value in inside}) >= 3:
            found |= {one.key for one, _ in inside}
    return found
