"""`handoff.yaml`: read whole, refused whole with every fault's path."""

import re
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

from services.handoff.core.rules import Gate, Rule, at_least_known, fulfils, has_attributes, one_of
from shared.conditions import GATE, Block, Duration, Fault, Schema, block_faults, compile_block, faults_of
from shared.documents import Document, DocumentFaults, read_document
from shared.errors import ConfigError

FILE = "handoff.yaml"
DAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_HOURS = re.compile(r"([01]\d|2[0-3]):[0-5]\d-(([01]\d|2[0-3]):[0-5]\d|24:00)")
_DAYS = re.compile(rf"({'|'.join(DAYS)})(-({'|'.join(DAYS)}))?(,({'|'.join(DAYS)})(-({'|'.join(DAYS)}))?)*")


def _cents(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or round(value, 2) != value:
        raise ValueError("expected a number with at most 2 decimals")
    return round(value * 100)


def _texts(value: Any) -> Any:
    return (
        [str(item) if isinstance(item, int) and not isinstance(item, bool) else item for item in value]
        if isinstance(value, list)
        else value
    )


Cents = Annotated[int, BeforeValidator(_cents)]
Texts = Annotated[list[str], BeforeValidator(_texts), Field(min_length=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Zone = Annotated[str, Field(min_length=1)]


class Calendar(Schema):
    """A desk's working hours in its own zone."""

    timezone: Zone = "UTC"
    country: Annotated[str | None, Field(pattern="^[A-Z]{2}$")] = None
    hours: str = "00:00-24:00"
    days: str = "MON-SUN"
    holidays: list[str] = Field(default_factory=list)

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        return known_zone(value)

    @field_validator("hours")
    @classmethod
    def _hours(cls, value: str) -> str:
        if not _HOURS.fullmatch(value) or value[:5] >= value[6:]:
            raise ValueError("expected hours such as 09:00-18:00")
        return value

    @field_validator("days")
    @classmethod
    def _days(cls, value: str) -> str:
        if not _DAYS.fullmatch(value):
            raise ValueError("expected days such as MON-FRI or MON,WED,FRI")
        return value

    @field_validator("holidays")
    @classmethod
    def _dates(cls, value: list[str]) -> list[str]:
        for item in value:
            date.fromisoformat(item)
        return value


class Member(Schema):
    """Someone who takes qualified leads."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    capacity_per_day: Annotated[int, Field(ge=0)] | None = None


class Queue(Schema):
    """A desk that qualified leads go to."""

    members: list[Member] = Field(default_factory=list)
    calendar: Calendar = Calendar()
    respond_within: Duration | None = None
    decide_within: Duration | None = None


class Schedule(Schema):
    """Hand-over collected at fixed times."""

    every: Any
    timezone: Zone = "UTC"
    country: Annotated[str | None, Field(pattern="^[A-Z]{2}$")] = None
    holidays: list[str] = Field(default_factory=list)
    if_holiday: Literal["previous_business_day", "next_business_day", "skip", "run"] = "next_business_day"
    missed: Literal["run_once", "skip"] = "run_once"

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        return known_zone(value)


class Require(Block):
    """Gates beside the score; all that are named must pass."""

    grade: Texts | None = None
    level: Texts | None = None
    stage: Texts | None = None
    attributes: Texts | None = None
    coverage: Annotated[float, Field(ge=0, le=1, strict=False)] | None = None


class RuleEntry(Schema):
    """One rule as it stands in the file."""

    id: Name
    enter: Cents
    leave: Cents | None = None
    cooldown: Duration = Field(default="30d", validate_default=True)
    close_after: Duration = Field(default="90d", validate_default=True)
    require: Require = Require()
    model: Name | None = None
    to: str
    when: Literal["immediately"] | Schedule

    @model_validator(mode="after")
    def _falls(self) -> "RuleEntry":
        if self.leave is not None and self.leave > self.enter:
            raise ValueError("expected leave not above enter")
        return self


class HandoffFile(Schema):
    """The whole file."""

    queues: dict[Name, Queue]
    rules: Annotated[list[RuleEntry], Field(min_length=1)]


def known_zone(name: str) -> str:
    """The name of an IANA time zone. Raises ValueError for any other."""
    try:
        ZoneInfo(name)
    except (OSError, ValueError, TypeError):
        raise ValueError("expected an IANA time zone, such as Asia/Tokyo") from None
    return name


def read_handoff_file(path: Path) -> HandoffFile:
    """Read and validate the file. Raises ConfigError with file, line and path of every fault."""
    try:
        document = read_document(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), f"a readable file in UTF-8 ({error})") from None
    except DocumentFaults as error:
        raise ConfigError(str(path), str(error)) from None
    faults: list[Fault] = list(_scope_faults(document.tree))
    parsed = None
    try:
        parsed = HandoffFile.model_validate(document.tree)
    except ValidationError as error:
        faults += faults_of(error)
    if parsed is not None:
        faults += _reference_faults(parsed)
    if parsed is None or faults:
        raise ConfigError(str(path), _told(document, faults))
    return parsed


def _scope_faults(tree: Any) -> list[Fault]:
    rules = tree.get("rules") if isinstance(tree, dict) else None
    return [
        fault
        for index, rule in enumerate(rules if isinstance(rules, list) else [])
        if isinstance(rule, dict)
        for fault in block_faults(rule.get("require"), ("rules", index, "require"), GATE)
    ]


def _reference_faults(file: HandoffFile) -> list[Fault]:
    faults, seen = [], set()
    for index, rule in enumerate(file.rules):
        if rule.to not in file.queues:
            faults.append(
                Fault(("rules", index, "to"), f"expected one of the queues: {', '.join(sorted(file.queues))}")
            )
        if rule.id in seen:
            faults.append(Fault(("rules", index, "id"), "expected an id of its own"))
        if rule.when != "immediately":
            faults.append(Fault(("rules", index, "when"), "expected immediately: this version collects no hand-overs"))
        seen.add(rule.id)
    return faults


def _told(document: Document, faults: list[Fault]) -> str:
    return "; ".join(f"line {document.line(fault.path)}: {fault.where}: {fault.expected}" for fault in faults)


def compile_rules(file: HandoffFile) -> tuple[Rule, ...]:
    """The rules, ready to judge with."""
    return tuple(
        Rule(
            id=entry.id,
            enter=entry.enter,
            leave=entry.leave if entry.leave is not None else round(entry.enter * 0.9),
            cooldown=entry.cooldown,
            close_after=entry.close_after,
            queue=entry.to,
            model=entry.model,
            gates=tuple(_gates(entry)),
        )
        for entry in file.rules
    )


def _gates(entry: RuleEntry) -> list[Gate]:
    require, model = entry.require, entry.model
    bands = {"grade": require.grade, "level": require.level, "stage": require.stage}
    gates = [one_of(model, field, frozenset(allowed)) for field, allowed in bands.items() if allowed]
    if require.attributes:
        gates.append(has_attributes(tuple(require.attributes)))
    if require.coverage is not None:
        gates.append(at_least_known(model, require.coverage))
    if require.all or require.any or require.none:
        gates.append(fulfils(model, compile_block(require)))
    return gates
