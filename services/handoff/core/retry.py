"""When a failed delivery is tried again, and when nobody tries any more. Pure.

Source of the schedule: Standard Webhooks 1.0, "Retry schedule" as its reference sender has it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

SCHEDULE = tuple(
    timedelta(seconds=seconds) for seconds in (0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
"""How long to wait before the first attempt, the second, and so on."""
JITTER = 0.1
"""At most so much of a wait is added to it, so that what failed together does not come back together."""
LONGEST_ASKED = timedelta(hours=24)
"""A receiver that asks for more than this is asked again all the same."""
DISABLE_AFTER = timedelta(days=5)
"""A destination at which every attempt has failed for this long is disabled,"""
STILL_FAILING = timedelta(hours=12)
"""provided that failures of that time lie at least so far apart: where nothing was sent, nothing is known to fail."""

OPEN_AFTER = 5
FIRST_REST, LONGEST_REST = timedelta(seconds=5), timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Try again, not before `at`."""

    at: datetime


@dataclass(frozen=True, slots=True)
class GiveUp:
    """That was the last attempt of the schedule."""


def after_failure(attempts: int, now: datetime, jitter: float, asked: timedelta | None = None) -> RetryAt | GiveUp:
    """What follows the failure of attempt number `attempts` (from 1).

    `jitter` is a number from 0 up to 1, drawn by the caller; `asked` is what the receiver's `Retry-After` says, which
    only ever makes the wait longer.
    """
    if attempts >= len(SCHEDULE):
        return GiveUp()
    wait = SCHEDULE[attempts] * (1 + JITTER * jitter)
    return RetryAt(now + max(wait, min(asked or timedelta(0), LONGEST_ASKED)))


def retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """The `Retry-After` of an answer: seconds or an HTTP date (RFC 9110 §10.2.3); None where there is none to read."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=int(text[:9]))
    try:
        at = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return max(timedelta(0), (at if at.tzinfo else at.replace(tzinfo=UTC)) - now)


@dataclass(frozen=True, slots=True)
class Breaker:
    """What one sender knows of a destination: failures in a row, the last of them, and until when it is left in peace.

    Attempts that were under way at once and fail together are one failure.
    """

    failures: int = 0
    failed_at: datetime | None = None
    resting_until: datetime | None = None

    def allows(self, now: datetime) -> bool:
        """Whether anything may be sent now."""
        return self.resting_until is None or now >= self.resting_until

    @property
    def healthy(self) -> bool:
        """Whether the last attempt went well, or none was made yet."""
        return self.failures == 0

    def after(self, *, delivered: bool, begun_at: datetime, now: datetime) -> "Breaker":
        """From the fifth failure in a row the destination rests, twice as long after each further one."""
        if delivered:
            return Breaker()
        if self.failed_at is not None and begun_at < self.failed_at:
            return self
        failed = replace(self, failures=self.failures + 1, failed_at=now)
        if failed.failures < OPEN_AFTER:
            return failed
        doubled = FIRST_REST * 2 ** min(failed.failures - OPEN_AFTER, 10)
        return replace(failed, resting_until=now + min(doubled, LONGEST_REST))
