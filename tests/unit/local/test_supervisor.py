"""How long a dying process waits for its next start."""

from deploy.local.supervisor import RestartPolicy


def test_waits_double_up_to_the_limit() -> None:
    policy = RestartPolicy()
    waits = [policy.delay(None, 0.0)]
    while len(waits) < 8:
        waits.append(policy.delay(waits[-1], 0.0))
    assert waits == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]


def test_starts_over_after_ten_healthy_seconds() -> None:
    policy = RestartPolicy()
    assert policy.delay(5.0, 9.9) == 5.0
    assert policy.delay(5.0, 10.0) == 0.2
