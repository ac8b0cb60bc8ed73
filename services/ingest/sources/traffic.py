"""What each source has sent since the process started, and who is watching."""

from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from services.ingest.sources.receive import Received
from shared.clock import to_rfc3339

REMEMBERED_IDS = 20_000
"""About how many of the latest ids a source's duplicates are told by; half as many at least. They are only counted
here: that none counts twice is the consumers' work.
"""
KEPT_REQUESTS = 50
WATCH_S = 60.0


@dataclass(slots=True)
class Traffic:
    """Counts of one source, in one process. `rejected` is by the first words of the reason, `fetched` by outcome."""

    last_received_at: datetime | None = None
    accepted: int = 0
    duplicates: int = 0
    ignored: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    fetched: Counter[str] = field(default_factory=Counter)
    _ids: set[int] = field(default_factory=set)
    _earlier_ids: set[int] = field(default_factory=set)
    _shown: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=KEPT_REQUESTS))
    _number: int = 0
    _watched_until: float = 0.0

    def repeated(self, ids: list[str]) -> int:
        """How many of `ids` this source has sent before; remembers them, by eight bytes each."""
        short = set(map(hash, ids))
        new = short - self._ids - self._earlier_ids
        self._ids |= short
        if len(self._ids) > REMEMBERED_IDS // 2:
            self._ids, self._earlier_ids = set(), self._ids
        return len(ids) - len(new)

    def watch(self, after: int | None, monotonic: float) -> list[dict[str, Any]]:
        """Requests after number `after` (None: from now on). Because of this call, requests are kept for a minute."""
        if monotonic > self._watched_until:
            self._shown.clear()
        self._watched_until = monotonic + WATCH_S
        last = self._number if after is None else after
        return [shown for shown in self._shown if shown["number"] > last]

    def watched(self, monotonic: float) -> bool:
        """Whether requests are kept for somebody now."""
        return monotonic <= self._watched_until

    @property
    def number(self) -> int:
        """The number of the latest request."""
        return self._number

    def show(self, received: Received, method: str, size: int, at: datetime, monotonic: float) -> None:
        """Note a request for those who watch; nothing is kept where no one does, since it is personal data."""
        self._number += 1
        if self.watched(monotonic):
            self._shown.append({"number": self._number, **_shown(received, method, size, at)})


def _shown(received: Received, method: str, size: int, at: datetime) -> dict[str, Any]:
    return {
        "received_at": to_rfc3339(at),
        "method": method,
        "bytes": size,
        "valid": received.verdict.valid,
        "reason": received.verdict.reason,
        "activities": [taken.posted for taken in received.taken],
        "refused": [{"item": item.position, "reason": item.reason} for item in received.refused],
        "ignored": [item.reason for item in received.ignored],
        "handshake": received.reply is not None,
    }
