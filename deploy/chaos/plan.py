"""Which faults a campaign has, in which order: a pure function of its seed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Literal, TypeVar

T = TypeVar("T")
SERVICES = ("ingest", "scoring", "handoff")
SECOND = {"scoring-2": "scoring", "handoff-2": "handoff"}
"""Second processes and whose: both share the partitions of a service, and meet on leads."""
SERVERS = ("kafka", "postgres")
SUPERVISOR = "supervisor"
PROCESSES = (*SERVICES, *SECOND, *SERVERS, SUPERVISOR)
LINKS = ("ingest-kafka", "scoring-kafka", "scoring-postgres", "handoff-kafka", "handoff-postgres")

Kind = Literal["kill", "freeze", "latency", "reset", "half_open", "cut", "slow_close", "disk_full", "clock_jump"]
NETWORK: tuple[Kind, ...] = ("latency", "reset", "half_open", "cut", "slow_close")

SHORT_S, LONG_S = (0.3, 5.0), (11.0, 16.0)
"""Most faults are short; a long one outlasts the session of a consumer (10 s), so that a successor takes over."""
LONG_ONE_IN = 12


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: `target` is a process, a link or a service; `seconds` how long it lasts; `pause` how long nothing new
    happens after its beginning; `size` milliseconds for latency, seconds for a clock jump.
    """

    kind: Kind
    target: str
    seconds: float = 0.0
    pause: float = 1.0
    size: float = 0.0

    def __str__(self) -> str:
        lasting = f" for {self.seconds:.1f} s" if self.seconds else ""
        sized = {"latency": f" of {self.size:.0f} ms", "clock_jump": f" by {self.size:+.0f} s"}.get(self.kind, "")
        return f"{self.kind} {self.target}{sized}{lasting}"


def draw(seed: int, kills: int, others: int) -> list[Fault]:
    """A campaign: `kills` spread evenly over all processes, `others` over all other kinds, in random order."""
    dice = random.Random(seed)  # noqa: S311 - no secret
    faults = [Fault("kill", target) for target in _spread(dice, PROCESSES, kills)]
    frozen: list[tuple[Kind, str]] = [("freeze", target) for target in PROCESSES]
    broken = [(kind, link) for link in LINKS for kind in NETWORK]
    wrong: list[tuple[Kind, str]] = [("clock_jump", service) for service in (*SERVICES, *SECOND)]
    wrong += [("disk_full", "ingest")] * 2
    # Each group about a third, however many members it has.
    share = -(-others // 3)
    drawn = [*_spread(dice, frozen, share), *_spread(dice, broken, share), *_spread(dice, wrong, others - 2 * share)]
    faults += [_with_size(dice, kind, target) for kind, target in drawn]
    dice.shuffle(faults)
    return [_with_pause(dice, fault) for fault in faults]


def _spread(dice: random.Random, choices: Sequence[T], count: int) -> list[T]:
    order = list(choices)
    dice.shuffle(order)
    return list(islice(cycle(order), max(count, 0)))


def _with_size(dice: random.Random, kind: Kind, target: str) -> Fault:
    long = kind == "freeze" and dice.randrange(LONG_ONE_IN) == 0
    seconds = dice.uniform(*(LONG_S if long else SHORT_S))
    if kind == "reset":
        return Fault(kind, target)
    if kind == "latency":
        return Fault(kind, target, seconds, size=dice.uniform(5, 400))
    if kind == "clock_jump":
        return Fault(kind, target, seconds, size=dice.choice((-3_600, -60, -1, 1, 60, 3_600)))
    return Fault(kind, target, seconds)


def _with_pause(dice: random.Random, fault: Fault) -> Fault:
    return Fault(fault.kind, fault.target, fault.seconds, dice.uniform(0.3, 2.5), fault.size)
