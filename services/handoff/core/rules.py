"""The rules in force: `handoff.yaml` read, checked and made ready to judge with."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from fractions import Fraction
from typing import Any

from pydantic import ValidationError

from services.handoff.core.checks import structural_faults
from services.handoff.core.file import After, Factor, HandoffFile, Increase, Queue, RuleEntry, Schedule
from services.handoff.core.gates import Gate, compile_gate
from services.handoff.core.queues import ReadyQueue, ready_queue
from services.handoff.core.schedule import Timetable
from shared.conditions import Fault, distinct, faults_of
from shared.documents import DocumentFaults, read_document
from shared.errors import KizashiError

DEFAULT_LEAVE = Fraction(9, 10)


class RuleFaults(KizashiError):
    """A file that does not validate, refused whole; `faults` pairs each fault with its line."""

    def __init__(self, name: str, faults: list[tuple[Fault, int]]) -> None:
        ordered = sorted(faults, key=lambda pair: pair[1])
        super().__init__("\n".join(_describe(name, fault, line) for fault, line in ordered))
        self.faults = tuple(ordered)


def _describe(name: str, fault: Fault, line: int) -> str:
    return f"{name}:{line}: {fault.where}: {fault.expected}" if fault.path else f"{name}:{line}: {fault.expected}"


Recycling = str | dict[str, float]
"""`reset`, `keep` or `{"factor": 0.5}`."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, ready to judge with. `enter` and `leave` in cents; by default `leave` may lie between two cents.

    `after` is where the handoff of another rule must stand; `instant` and `increase` stand for the score; `timetable`
    has the runs of a rule that collects its leads; `cools_within` is how long before a lead cools it is told.
    """

    id: str
    enter: int
    leave: Fraction
    cooldown: timedelta
    close_after: timedelta
    gate: Gate
    model: str | None
    to: ReadyQueue
    after: After | None = None
    instant: frozenset[str] = frozenset()
    increase: Increase | None = None
    settle: timedelta = timedelta()
    cools_within: timedelta | None = None
    recycle: Recycling | None = None
    timetable: Timetable | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Rulebook:
    """Rules and queues as one file has them; `version` is the number under which the file is on record."""

    rules: tuple[Rule, ...] = ()
    queues: Mapping[str, ReadyQueue] = field(default_factory=dict)
    version: int = 0

    def rule(self, rule_id: str) -> Rule | None:
        """The rule of that id, if it is still there."""
        return next((rule for rule in self.rules if rule.id == rule_id), None)

    def queue(self, name: str) -> ReadyQueue:
        """The queue of that name; one that nothing is known of where the file no longer has it."""
        return self.queues.get(name) or ReadyQueue(name)

    @property
    def awaited(self) -> frozenset[str]:
        """The rules whose handoffs another rule follows."""
        return frozenset(rule.after.rule for rule in self.rules if rule.after is not None)


@dataclass(frozen=True, slots=True)
class Handoffs:
    """A valid file: its entries, the line of each rule, and what names exactly this text."""

    file: HandoffFile
    lines: tuple[int, ...]
    digest: str

    def rules(self) -> tuple[Rule, ...]:
        """Every rule in file order."""
        return self.rulebook().rules

    def rulebook(self, version: int = 0) -> Rulebook:
        """Everything made ready."""
        named = {entry.to: Queue() for entry in self.file.rules} | self.file.queues
        queues = {name: ready_queue(name, queue) for name, queue in named.items()}
        return Rulebook(tuple(_compile(entry, queues[entry.to]) for entry in self.file.rules), queues, version)


def load_rules(text: str, name: str = "handoff.yaml") -> Handoffs:
    """Read YAML 1.2 or JSON; `name` stands before the line in messages. Raises RuleFaults with every fault."""
    try:
        document = read_document(text)
    except DocumentFaults as error:
        raise RuleFaults(name, error.faults) from None
    tree = document.tree
    if not isinstance(tree, Mapping):
        raise RuleFaults(name, [(Fault((), "expected keys with values, such as rules: [...]"), 1)])
    faults = list(structural_faults(tree))
    file = None
    try:
        file = HandoffFile.model_validate(tree)
    except ValidationError as error:
        faults += faults_of(error)
    if file is None or faults:
        raise RuleFaults(name, [(fault, document.line(fault.path)) for fault in _one_each(faults)])
    lines = tuple(document.line(("rules", index)) for index in range(len(file.rules)))
    return Handoffs(file, lines, hashlib.sha256(text.encode()).hexdigest())


def _one_each(faults: list[Fault]) -> list[Fault]:
    """One fault per path: where the whole and the value name the same path, the first says more."""
    by_path: dict[Any, Fault] = {}
    for fault in distinct(faults):
        by_path.setdefault(fault.path, fault)
    return list(by_path.values())


def _compile(entry: RuleEntry, queue: ReadyQueue) -> Rule:
    return Rule(
        id=entry.id,
        enter=entry.enter,
        leave=entry.enter * DEFAULT_LEAVE if entry.leave is None else Fraction(entry.leave),
        cooldown=entry.cooldown,
        close_after=entry.close_after,
        gate=compile_gate(entry.require),
        model=entry.model,
        to=queue,
        after=entry.require.handoff,
        instant=frozenset(entry.instant),
        increase=entry.increase,
        settle=entry.settle,
        cools_within=entry.cools_within,
        recycle={"factor": entry.recycle.factor} if isinstance(entry.recycle, Factor) else entry.recycle,
        timetable=Timetable(entry.id, entry.when) if isinstance(entry.when, Schedule) else None,
    )
