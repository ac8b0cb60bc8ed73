"""Records of the topics that scoring reads, to values: what cannot be read becomes a dead letter."""

from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple
from uuid import UUID

from services.scoring.core.entries import RECYCLED, Entry, factor_of
from shared import codec
from shared.activity import Activity
from shared.clock import from_micros, from_rfc3339, is_reckonable
from shared.errors import InvalidMessage
from shared.events import OutboxRow
from shared.kafka.dead_letter import dead_letter
from shared.kafka.records import Record
from shared.posted import ActivityFaults
from shared.recorded import parse_written

Key = tuple[str, str]


class Read(NamedTuple):
    """What one record carries: the activity, its body as JSON, and its fingerprint."""

    activity: Activity
    body: str
    fingerprint: bytes


@dataclass(slots=True)
class Incoming:
    """The activities of a batch by key (source, id), each once, with their bodies as JSON and their fingerprints; and
    the dead letters.
    """

    activities: dict[Key, Activity] = field(default_factory=dict)
    bodies: dict[Key, str] = field(default_factory=dict)
    fingerprints: dict[Key, bytes] = field(default_factory=dict)
    letters: list[OutboxRow] = field(default_factory=list)


def read_records(records: Iterable[Record], region: str) -> Incoming:
    """Read a batch; of activities with the same key the first stays."""
    incoming = Incoming()
    for record in records:
        try:
            read = record.content or read_record(record, region)
        except InvalidMessage as error:
            incoming.letters.append(dead_letter(record, str(error)))
            continue
        activity = read.activity
        key = (activity.source, activity.id)
        if key not in incoming.activities:
            incoming.activities[key], incoming.bodies[key], incoming.fingerprints[key] = read
    return incoming


def read_ahead(records: Iterable[Record], region: str) -> None:
    """Read records that `read_records` will get later; what is wrong with one is told then."""
    for record in records:
        with suppress(InvalidMessage):
            record.content = read_record(record, region)


def read_record(record: Record, region: str) -> Read:
    """The activity a record carries. Raises InvalidMessage saying what is wrong with it."""
    if record.value is None:
        raise InvalidMessage("has no value")
    try:
        raw = codec.decode(record.value)
        if b"\\u0000" in record.value and codec.has_nul(raw):
            raise InvalidMessage("holds a NUL character")
        activity = parse_written(raw, region=region)
    except (codec.JsonFault, ActivityFaults) as error:
        raise InvalidMessage(str(error)) from error
    return Read(activity, record.value.decode(), activity.fingerprint())


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
        at = from_rfc3339(raw["at"])
        # What cannot be reckoned with took effect when it was told.
        at = at if is_reckonable(at) else from_micros(record.timestamp_ms * 1_000)
        return Entry(RECYCLED, handoff_id, lead_id, at, {"policy": policy})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidMessage(f"expected lead_id, handoff_id, at and a policy of a recycled handoff ({error})") from None
