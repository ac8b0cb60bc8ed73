"""When a failed delivery comes back, when it is given up, and when a destination is left in peace."""

from datetime import timedelta
from itertools import accumulate

import pytest

from services.handoff.core.retry import (
    LONGEST_ASKED,
    SCHEDULE,
    Breaker,
    GiveUp,
    RetryAt,
    after_failure,
    retry_after,
)
from tests.unit.handoff.builders import day

NOW = day(1)
SECOND = timedelta(seconds=1)


def test_the_schedule_is_that_of_standard_webhooks() -> None:
    hours = [0.0, 5 / 3600, 5 / 60, 0.5, 2, 5, 10, 14, 20, 24]
    assert [wait.total_seconds() / 3600 for wait in SCHEDULE] == pytest.approx(hours)


def test_each_failure_waits_longer_and_the_tenth_gives_up() -> None:
    at, begun = NOW, []
    for attempt in range(1, 10):
        then = after_failure(attempt, at, 0.0)
        assert isinstance(then, RetryAt)
        at = then.at
        begun.append(at - NOW)
    assert begun == list(accumulate(SCHEDULE[1:]))
    assert after_failure(10, at, 0.0) == GiveUp()


@pytest.mark.parametrize("jitter", [0.0, 0.5, 0.999])
def test_jitter_only_delays_and_by_a_tenth_at_most(jitter: float) -> None:
    for attempt in range(1, 10):
        then = after_failure(attempt, NOW, jitter)
        assert isinstance(then, RetryAt)
        assert SCHEDULE[attempt] <= then.at - NOW <= SCHEDULE[attempt] * 1.1


@pytest.mark.parametrize(
    ("asked", "waited"),
    [(SECOND, 5 * SECOND), (600 * SECOND, 600 * SECOND), (timedelta(days=30), LONGEST_ASKED), (None, 5 * SECOND)],
)
def test_retry_after_makes_the_wait_longer_never_shorter(asked: timedelta | None, waited: timedelta) -> None:
    assert after_failure(1, NOW, 0.0, asked) == RetryAt(NOW + waited)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("120", timedelta(seconds=120)),
        (" 0 ", timedelta(0)),
        ("Mon, 02 Nov 2026 00:01:00 GMT", timedelta(seconds=60)),
        ("Sun, 01 Nov 2026 00:00:00 GMT", timedelta(0)),
        ("99999999999999999999", timedelta(seconds=999_999_999)),
        ("soon", None),
        ("-5", None),
        ("１２", None),
        ("", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_a_date(text: str, expected: timedelta | None) -> None:
    assert retry_after({"retry-after": text}, NOW) == expected
    assert retry_after({}, NOW) is None


def failed(breaker: Breaker, times: int) -> Breaker:
    for number in range(times):
        at = NOW + number * SECOND
        breaker = breaker.after(delivered=False, begun_at=at, now=at)
    return breaker


def test_a_destination_rests_from_the_fifth_failure_in_a_row() -> None:
    assert failed(Breaker(), 4).allows(NOW)
    assert not failed(Breaker(), 4).healthy
    resting = failed(Breaker(), 5)
    assert not resting.allows(NOW + 8 * SECOND)
    assert resting.allows(NOW + 9 * SECOND)
    assert failed(Breaker(), 7).resting_until == NOW + 6 * SECOND + 20 * SECOND
    assert failed(Breaker(), 60).resting_until == NOW + 59 * SECOND + timedelta(minutes=5)
    assert resting.after(delivered=True, begun_at=NOW, now=NOW) == Breaker()


def test_attempts_that_fail_together_are_one_failure() -> None:
    breaker = Breaker()
    for _ in range(16):
        breaker = breaker.after(delivered=False, begun_at=NOW, now=NOW + 15 * SECOND)
    assert breaker.failures == 1
