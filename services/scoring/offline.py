"""The scoring engine on files: activities in, one line per lead out. No stack, no network."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, StringConstraints

from services.scoring.core.compile import CompiledModel, compile_model
from services.scoring.core.engine import fold_all, until
from services.scoring.core.evaluation import Evaluation
from services.scoring.core.loader import load_model
from services.scoring.core.resolution import LeadGroup, resolve_leads
from shared.activity import NO_OCCURRED_AT, Activity, parse_posted
from shared.codec import JsonFault, decode, has_nul
from shared.errors import FieldFault, KizashiError
from shared.identity import MAILBOX, Identifier, normalise_email
from shared.posted import ActivityFaults, validate

# No clock is ahead of this one, so that nothing is moved to an instant of receipt that a file does not have.
_RECEIVED = datetime.max.replace(tzinfo=UTC)
_SOURCE = "api"
_REGION = "JP"
_MOST_FAULTS = 100
T = TypeVar("T")


class FileFaults(KizashiError):
    """A file that cannot be read; one message per faulty line, `file:line: path: what was expected`."""

    def __init__(self, messages: list[str]) -> None:
        super().__init__("\n".join(messages))
        self.messages = tuple(messages)


class _LeadLine(BaseModel):
    """One line of --leads: attributes that hold from before the first activity."""

    model_config = ConfigDict(strict=True, extra="forbid")

    lead: Annotated[str, StringConstraints(min_length=1, max_length=512)]
    attributes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ScoredLead:
    """One line of output."""

    lead: str
    evaluation: Evaluation

    def to_json(self) -> bytes:
        """One JSON object; points always with two decimals."""
        one = self.evaluation
        body = {
            "lead": self.lead,
            "score": _two_decimals(one.score),
            "engagement": _two_decimals(one.engagement),
            "fit": _two_decimals(one.fit),
            "grade": one.grade,
            "level": one.level,
            "cell": one.cell,
            "stage": one.stage,
            "coverage": one.coverage,
            "reasons": [
                {"rule": reason.rule, "points": _two_decimals(reason.points), "count": reason.entries}
                for reason in one.reasons
            ],
        }
        return orjson.dumps(body)


def text_of_cents(cents: int) -> str:
    """`-1234` is "-12.34"."""
    whole, rest = divmod(abs(cents), 100)
    return f"{'-' if cents < 0 else ''}{whole}.{rest:02d}"


def _two_decimals(cents: int | None) -> orjson.Fragment | None:
    return None if cents is None else orjson.Fragment(text_of_cents(cents))


@dataclass(frozen=True, slots=True)
class Text:
    """The content of a file, and the name it goes by in messages."""

    name: str
    body: bytes


def read_file(path: Path) -> Text:
    """Raises FileFaults for a file that cannot be read."""
    try:
        return Text(str(path), path.read_bytes())
    except OSError as error:
        raise FileFaults([f"{path}: expected a readable file ({error.strerror})"]) from None


def score_texts(model: Text, activities: Text, leads: Text | None, at: datetime) -> list[ScoredLead]:
    """Score every lead that had an activity by `at`, sorted by name.

    An activity without `occurred_at` counts as received at `at`. Raises FileFaults and ModelFaults with every fault.
    """
    compiled = compile_model(load_model(decode_text(model), model.name))
    happened = until(read_activities(activities, at), at)
    given = read_leads(leads) if leads else {}
    scored = (_score(compiled, group, given, at) for group in resolve_leads(happened))
    return sorted(scored, key=lambda one: one.lead)


def _score(model: CompiledModel, group: LeadGroup, given: Mapping[str, Mapping[str, Any]], at: datetime) -> ScoredLead:
    attributes: dict[str, Any] = {}
    for identifier in reversed(group.identifiers):
        attributes |= given.get(name_of(identifier), {})
    return ScoredLead(name_of(group.identifiers[0]), fold_all(model, group.activities, at, attributes=attributes))


def name_of(identifier: Identifier) -> str:
    """How a lead is printed: an address, `source:id`, a phone number, a browser id."""
    return identifier.value.partition("\x1f")[0] if identifier.kind == MAILBOX else identifier.value


def read_activities(text: Text, at: datetime) -> list[Activity]:
    """Activities as posted, one JSON object per line, each with its `id`. Raises FileFaults."""
    return read_lines(text, lambda raw: _activity(raw, at))


def _activity(raw: Any, at: datetime) -> Activity:
    if isinstance(raw, dict) and raw.get("id") is None:
        raise ActivityFaults([FieldFault("/id", "is missing; without it a line read twice would count twice")])
    activity = parse_posted(raw, id_if_absent="", source_if_absent=_SOURCE, received_at=_RECEIVED, region=_REGION)
    if NO_OCCURRED_AT in activity.flags:
        activity.occurred_at = at
    return activity


def read_leads(text: Text) -> dict[str, dict[str, Any]]:
    """Lead name to attributes; of two lines about one lead the later wins, attribute by attribute.

    An empty value says nothing, as in an activity.
    """
    known: dict[str, dict[str, Any]] = {}
    for line in read_lines(text, lambda raw: validate(_LeadLine, raw)):
        given = {name: value for name, value in line.attributes.items() if value is not None and value != ""}
        known.setdefault(_normalised(line.lead), {}).update(given)
    return known


def _normalised(name: str) -> str:
    try:
        return normalise_email(name)
    except ValueError:
        return name


def read_lines(text: Text, parse: Callable[[Any], T]) -> list[T]:
    """Every line parsed. Raises FileFaults with what is wrong in which line."""
    items: list[T] = []
    faults: list[str] = []
    for number, line in _lines(text):
        try:
            items.append(parse(_decode(line)))
        except ActivityFaults as error:
            faults += [f"{text.name}:{number}: {one.pointer or 'line'}: {one.detail}" for one in error.faults]
        except JsonFault as error:
            faults.append(f"{text.name}:{number}: {error}")
        if len(faults) >= _MOST_FAULTS:
            faults.append(f"{text.name}: stopped reading after {_MOST_FAULTS} faults")
            break
    if faults:
        raise FileFaults(faults)
    return items


def _decode(line: bytes) -> Any:
    raw = decode(line)
    if has_nul(raw):
        raise JsonFault("holds U+0000, which no text may")
    return raw


def _lines(text: Text) -> Iterator[tuple[int, bytes]]:
    """Lines that are not blank, numbered from 1; a byte-order mark is no content."""
    body = text.body.removeprefix(b"\xef\xbb\xbf")
    return ((number, line) for number, line in enumerate(body.split(b"\n"), 1) if line.strip())


def decode_text(text: Text) -> str:
    """The text of a file in UTF-8, without a byte-order mark. Raises FileFaults."""
    try:
        return text.body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileFaults([f"{text.name}: expected UTF-8 (byte {error.start} is not)"]) from None
