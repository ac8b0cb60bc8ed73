"""The rules in force: `handoff.yaml` read, checked and made ready to judge with."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from typing import Any

from pydantic import ValidationError

from services.handoff.core.checks import structural_faults
from services.handoff.core.file import HandoffFile, Queue, RuleEntry
from services.handoff.core.gates import Gate, compile_gate
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


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, ready to judge with. `enter` and `leave` in cents; by default `leave` may lie between two cents."""

    id: str
    enter: int
    leave: Fraction
    cooldown: timedelta
    close_after: timedelta
    gate: Gate
    model: str | None
    queue_name: str
    queue: Queue


@dataclass(frozen=True, slots=True)
class Handoffs:
    """A valid file: its entries, and the line of each rule."""

    file: HandoffFile
    lines: tuple[int, ...]

    def rules(self) -> tuple[Rule, ...]:
        """Every rule in file order."""
        return tuple(_compile(entry, self.file.queues) for entry in self.file.rules)


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
    return Handoffs(file, tuple(document.line(("rules", index)) for index in range(len(file.rules))))


def _one_each(faults: list[Fault]) -> list[Fault]:
    """One fault per path: where the whole and the value name the same path, the first says more."""
    by_path: dict[Any, Fault] = {}
    for fault in distinct(faults):
        by_path.setdefault(fault.path, fault)
    return list(by_path.values())


def _compile(entry: RuleEntry, queues: Mapping[str, Queue]) -> Rule:
    return Rule(
        id=entry.id,
        enter=entry.enter,
        leave=entry.enter * DEFAULT_LEAVE if entry.leave is None else Fraction(entry.leave),
        cooldown=entry.cooldown,
        close_after=entry.close_after,
        gate=compile_gate(entry.require),
        model=entry.model,
        queue_name=entry.to,
        queue=queues.get(entry.to, Queue()),
    )
