"""What a lead agreed to: words about purposes, each from its instant on; the last one counts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.scoring.core.resolution import Order
from shared.activity import Activity
from shared.clock import from_rfc3339, to_rfc3339

PURPOSES = ("profiling", "email", "phone")
PROFILING = "profiling"


@dataclass(frozen=True, slots=True)
class Agreed:
    """One word about one purpose, as an activity brought it: the proof is the activity itself."""

    purpose: str
    granted: bool
    at: datetime
    said_in: Order
    proof: Mapping[str, Any]

    @property
    def order(self) -> tuple[datetime, Order]:
        """Later ones overrule earlier ones."""
        return (self.at, self.said_in)

    def to_json(self) -> dict[str, Any]:
        """As the API shows it."""
        _, id_, source = self.said_in
        shown = {"purpose": self.purpose, "granted": self.granted, "at": to_rfc3339(self.at)}
        proof = {"source": self.proof.get("source") or source, "text": self.proof.get("text")}
        return {**shown, **proof, "activity": {"source": source, "id": id_}}


def words_of(activity: Activity) -> list[Agreed]:
    """What an activity says about purposes; from its own instant where it names none."""
    consent = activity.consent
    if not consent:
        return []
    at = from_rfc3339(consent["at"]) if consent.get("at") else activity.occurred_at
    said = [(purpose, consent[purpose]) for purpose in PURPOSES if isinstance(consent.get(purpose), bool)]
    return [Agreed(purpose, granted, at, activity.order, consent) for purpose, granted in said]


def history_of(activities: Iterable[Activity]) -> list[Agreed]:
    """Every word of a lead, the earliest first."""
    return sorted((word for one in activities for word in words_of(one)), key=lambda word: word.order)


def in_force(words: Sequence[Agreed], at: datetime) -> dict[str, bool]:
    """Per purpose the last word at `at`; a purpose about which nothing was said is missing. `words` as `history_of`."""
    return {word.purpose: word.granted for word in words if word.at <= at}


class Profiling:
    """When a lead may be profiled, from words about it as (instant, granted), the earliest first."""

    def __init__(self, words: Iterable[tuple[datetime, bool]]) -> None:
        self._words = list(words)

    @classmethod
    def of(cls, activities: Iterable[Activity]) -> "Profiling":
        """From all activities of a lead."""
        return cls((word.at, word.granted) for word in history_of(activities) if word.purpose == PROFILING)

    def allows(self, at: datetime) -> bool:
        """Whether consent was in force at this instant."""
        granted = False
        for since, word in self._words:
            if since > at:
                break
            granted = word
        return granted
