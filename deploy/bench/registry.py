"""Every line of the table: the group that measures it, and what it has to reach; nothing where it is told only."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from deploy.bench.cases import cards, delivery, explaining, growth, ingest, judging, latency, scoring, start
from deploy.bench.measuring import Goal, Line

Measure = Callable[[], AsyncIterator[Line]]


@dataclass(frozen=True, slots=True)
class Group:
    """Lines that are measured together, on one stack; `when_named` alone, because that takes minutes."""

    measure: Measure
    lines: tuple[str, ...]
    when_named: bool = False


GROUPS: tuple[Group, ...] = (
    Group(
        ingest.measure,
        (
            "ingest_single",
            "ingest_single_64",
            "ingest_single_64_p99",
            "ingest_form",
            "ingest_collect",
            "ingest_batch",
            "webhook_sendgrid",
            "memory_ingest",
        ),
    ),
    Group(
        scoring.measure,
        ("scoring", "scoring_hot_lead", "scoring_30_rules", "scoring_processes", "refold", "relay"),
    ),
    Group(growth.measure, ("growth",), when_named=True),
    Group(explaining.measure, ("explanation", "long_lead")),
    Group(judging.measure, ("judging",)),
    Group(
        latency.measure,
        (
            "end_to_end_rate",
            "end_to_end_p99_20",
            "end_to_end_p99_80",
            "memory_scoring",
            "memory_handoff",
            "stored_postgres",
            "stored_kafka",
        ),
    ),
    Group(cards.measure, ("import_cards",)),
    Group(delivery.measure, ("webhook_delivery", "webhook_delivery_p99_sick")),
    Group(start.measure, ("start_warm", "start_cold")),
)

GOALS: dict[str, tuple[Goal, ...]] = {
    "ingest_single": (Goal("ratio", 0.40, 0.75), Goal("factor", 2.5, 5)),
    "ingest_single_64": (Goal("factor", 2, 4),),
    "ingest_single_64_p99": (Goal("value", 25, 10, at_most=True),),
    "ingest_form": (Goal("ratio", 0.7, 0.9),),
    "ingest_collect": (Goal("ratio", 0.7, 0.9),),
    "ingest_batch": (Goal("ratio", 0.40, 0.80),),
    "webhook_sendgrid": (Goal("ratio", 0.5, 0.75),),
    "memory_ingest": (Goal("value", 150, 110, at_most=True),),
    "scoring": (Goal("ratio", 0.45, 0.65), Goal("factor", 12, 20)),
    "scoring_hot_lead": (Goal("ratio", 0.8, 1.0),),
    "scoring_30_rules": (Goal("ratio", 0.8, 0.95),),
    "scoring_processes": (Goal("ratio", 0.75, 0.9),),
    "growth": (Goal("ratio", 0.8, 0.95),),
    "refold": (Goal("value", 60_000, 150_000),),
    "relay": (Goal("value", 15_000, 40_000),),
    "explanation": (Goal("value", 20, 10, at_most=True),),
    "long_lead": (Goal("value", 2, 1, at_most=True),),
    "judging": (),
    "end_to_end_rate": (),
    "stored_postgres": (),
    "stored_kafka": (),
    "end_to_end_p99_20": (Goal("value", 150, 40, at_most=True),),
    "end_to_end_p99_80": (Goal("value", 600, 150, at_most=True),),
    "memory_scoring": (Goal("value", 200, 150, at_most=True),),
    "memory_handoff": (Goal("value", 150, 110, at_most=True),),
    "import_cards": (Goal("ratio", 0.3, 0.4),),
    "webhook_delivery": (Goal("ratio", 0.4, 0.6),),
    "webhook_delivery_p99_sick": (Goal("ratio", 2, 1.2, at_most=True),),
    "start_warm": (Goal("value", 10, 5, at_most=True),),
    "start_cold": (Goal("value", 120, 60, at_most=True),),
}


def groups_for(names: tuple[str, ...]) -> tuple[Group, ...]:
    """The groups that measure these lines; for no names all but those that are measured only when named.

    Raises KeyError for a name that is no line.
    """
    for name in names:
        if name not in GOALS:
            raise KeyError(name)
    return tuple(group for group in GROUPS if (set(names) & set(group.lines) if names else not group.when_named))
