"""How often one key or one address may ask, counted in this process: each process of a service counts for itself.

The headers are those of the IETF draft "RateLimit header fields for HTTP" (draft-ietf-httpapi-ratelimit-headers-11).
"""

import math
import time
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from itertools import islice

from limits import parse
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter

from shared.errors import ProblemError
from shared.settings import RateSettings

MAX_COUNTED = 100_000
"""Keys and addresses counted at once; the oldest windows are forgotten first."""
BLOCKS = 1_000
"""A large quota is taken from its window in so many parts: counting costs more than some requests do."""
IPV6_NETWORK = 64
"""Bits of an IPv6 address that are one subscriber's."""

Headers = list[tuple[bytes, bytes]]


class Counters(Storage):
    """Counts in memory, for one event loop. The library's own starts a thread a hundred times a second under load, and
    keeps every address of an hour-long window.
    """

    STORAGE_SCHEME = None

    def __init__(self, monotonic: Callable[[], float]) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._windows: dict[str, tuple[int, float]] = {}

    @property
    def base_exceptions(self) -> type[Exception]:
        """See Storage."""
        return ValueError

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """See Storage."""
        now = self._monotonic()
        count, until = self._windows.get(key, (0, 0.0))
        if until <= now:
            self._forget(now)
            # Taken out first, so that the order of the dictionary is that of the windows' ends.
            self._windows.pop(key, None)
            count, until = 0, now + expiry
        self._windows[key] = (count + amount, until)
        return count + amount

    def get(self, key: str) -> int:
        """See Storage."""
        count, until = self._windows.get(key, (0, 0.0))
        return count if until > self._monotonic() else 0

    def get_expiry(self, key: str) -> float:
        """When the window ends, by the clock given."""
        return self._windows.get(key, (0, self._monotonic()))[1]

    def check(self) -> bool:
        """See Storage."""
        return True

    def reset(self) -> int:
        """See Storage."""
        count = len(self._windows)
        self._windows.clear()
        return count

    def clear(self, key: str) -> None:
        """See Storage."""
        self._windows.pop(key, None)

    def _forget(self, now: float) -> None:
        for key, (_, until) in list(islice(self._windows.items(), 2)):
            if until <= now or len(self._windows) >= MAX_COUNTED:
                del self._windows[key]


class Share:
    """What is left of a part taken from a window, and whether the window is more than half empty."""

    __slots__ = ("headers", "left", "until")

    def __init__(self, left: int, until: float, headers: Headers | None) -> None:
        self.left = left
        self.until = until
        self.headers = headers


class Limit:
    """One limit, such as 3,000 a minute, for many keys or addresses. Without a text there is none."""

    def __init__(self, name: str, text: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._item = parse(text) if text else None
        self._monotonic = monotonic
        self._counters = Counters(monotonic)
        self._limiter = FixedWindowRateLimiter(self._counters)
        self._block = max(1, self._item.amount // BLOCKS) if self._item else 0
        self._shares: dict[str, Share] = {}

    def take(self, who: str) -> Headers | None:
        """Count one request of `who`. Returns headers that tell what is left, once less than half is.

        Raises ProblemError 429 `too_many_requests` with `Retry-After`.
        """
        if self._item is None:
            return None
        share = self._shares.get(who)
        if share is None or share.left == 0 or share.until <= self._monotonic():
            share = self._next_share(who)
        share.left -= 1
        return share.headers

    def _next_share(self, who: str) -> Share:
        assert self._item is not None
        allowed = self._limiter.hit(self._item, who, cost=self._block)
        until, remaining = self._limiter.get_window_stats(self._item, who)
        wait_s = max(1, math.ceil(until - self._monotonic()))
        window_s = self._item.get_expiry()
        policy = f'"{self._name}";q={self._item.amount};w={window_s}'
        state = f'"{self._name}";r={remaining if allowed else 0};t={wait_s}'
        if not allowed:
            told = {"Retry-After": str(wait_s), "RateLimit-Policy": policy, "RateLimit": state}
            raise ProblemError(429, "too_many_requests", f"More than {self._item}.", headers=told)
        tight = remaining < self._item.amount // 2
        headers = [(b"ratelimit-policy", policy.encode()), (b"ratelimit", state.encode())] if tight else None
        if len(self._shares) >= MAX_COUNTED:
            self._shares.clear()
        share = self._shares[who] = Share(self._block, until, headers)
        return share


class Rates:
    """All limits of a process."""

    def __init__(self, settings: RateSettings, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.keys = Limit("key", settings.per_key, monotonic)
        self.addresses = Limit("address", settings.per_address, monotonic)
        self._failures = Limit("failures", settings.failures_per_address, monotonic)

    def failed(self, address: str, refusal: ProblemError) -> ProblemError:
        """What is answered to an address whose request carried no valid key or signature: `refusal`, or 429."""
        try:
            self._failures.take(subscriber(address))
        except ProblemError as too_many:
            # A page that may read the refusal may read this one too.
            kept = {name: text for name, text in refusal.headers.items() if name != "WWW-Authenticate"}
            too_many.headers = {**kept, **too_many.headers}
            return too_many
        return refusal


@lru_cache(maxsize=4_096)
def subscriber(address: str) -> str:
    """Whom an address belongs to, as far as it tells: of IPv6 the network that one subscriber is given."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(IPv6Address(int(parsed) >> (128 - IPV6_NETWORK) << (128 - IPV6_NETWORK)))
    return str(parsed)
