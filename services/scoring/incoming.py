"""Records of the topics that scoring reads, to values: what cannot be read becomes a dead letter."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from uuid import UUID

from services.scoring.core.entries import RECYCLED, Entry, factor_of
from shared import codec
from shared.activity import Activity, parse_recorded
from shared.clock import from_rfc3339
from shared.errors import InvalidMessage
from shared.kafka.dead_letter import dead_letter
from shared.kafka.records import Record
from shared.outbox import OutboxRow
from shared.posted import ActivityFaults

Key = tuple[str, str]


@dataclass(slots=True)
class Incoming:
    """The activities of a batch by key (source, id), each once, with their bodies as JSON; and the dead letters."""

    activities: dict[Key, Activity] = field(default_factory=dict)
    bodies: dict[Key, str] = field(default_factory=dict)
    repeated: int = 0
    letters: list[OutboxRow] = field(default_factory=list)


def read_records(records: Iterable[Record], region: str) -> Incoming:
    """Read a batch; of activities with the same key the first stays."""
    incoming = Incoming()
    for record in records:
        try:
            activity, body = read_record(record, region)
        except InvalidMessage as error:
            incoming.letters.append(dead_letter(record, str(error)))
            continue
        key = (activity.source, activity.id)
        if key in incoming.activities:
            incoming.repeated += 1
            continue
        incoming.activities[key] = activity
        incoming.bodies[key] = body
    return incoming


def read_record(record: Record, region: str) -> tuple[Activity, str]:
    """The activity a record carries and its body as text. Raises InvalidMessage saying what is wrong with it."""
    if record.value is None:
        raise InvalidMessage("has no value")
    try:
        raw = codec.decode(record.value)
        if b"\\u0000" in record.value and codec.has_nul(raw):
            raise InvalidMessage("holds a NUL character")
        return parse_recorded(raw, region=region), record.value.decode()
    except (codec.JsonFault, ActivityFaults) as error:
        raise InvalidMessage(str(error)) from error


@dataclass(slots=True)
class Returned:
    """The recyclings of a batch by lead, anchored at the lead's id until it is known what the lead is called by."""

    entries: dict[str, list[Entry]] = field(default_factory=lambda: defaultdict(list))
    letters: list[OutboxRow] = field(default_factory=list)


def read_outcomes(records: Iterable[Record]) -> Returned:
    """Read a batch of `handoff-outcomes`; steps other than `recycled` say nothing about a score."""
    returned = Returned()
    for record in records:
        try:
            found = _read_recycling(record)
        except InvalidMessage as error:
            returned.letters.append(dead_letter(record, str(error)))
            continue
        if found is not None:
            returned.entries[found.anchor].append(found)
    return returned


def _read_recycling(record: Record) -> Entry | None:
    if record.value is None:
        raise InvalidMessage("has no value")
    try:
        raw = codec.decode(record.value)
    except codec.JsonFault as error:
        raise InvalidMessage(str(error)) from error
    if not isinstance(raw, dict) or raw.get("outcome") != "recycled":
        return None
    try:
        policy = raw.get("recycle")
        factor_of(policy, Fraction(1))
        lead_id, handoff_id = str(UUID(raw["lead_id"])), str(UUID(raw["handoff_id"]))
        return Entry(RECYCLED, handoff_id, lead_id, from_rfc3339(raw["at"]), {"policy": policy})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidMessage(f"expected lead_id, handoff_id, at and a policy of a recycled handoff ({error})") from None
