"""What each source has sent since the process started, and who is watching."""

import hashlib
from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from services.ingest.sources.receive import Received
from shared.clock import to_rfc3339

REMEMBERED_IDS = 20_000
"""Ids a source's duplicates are told by. They are only counted here: that none counts twice is the consumers' work."""
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
    _ids: OrderedDict[bytes, None] = field(default_factory=OrderedDict)
    _shown: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=KEPT_REQUESTS))
    _number: int = 0
    _watched_until: float = 0.0

    def repeated(self, ids: list[str]) -> int:
        """How many of `ids` this source has sent before; remembers them."""
        count = 0
        for id_ in ids:
            short = hashlib.blake2b(id_.encode("utf-8", "replace"), digest_size=8).digest()
            if short in self._ids:
                count += 1
                self._ids.move_to_end(short)
            else:
                self._ids[short] = None
        while len(self._ids) > REMEMBERED_IDS:
            self._ids.popitem(last=False)
        return count

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
