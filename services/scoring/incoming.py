"""Records of `lead-activities` to activities: what cannot be read becomes a dead letter."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from shared import codec
from shared.activity import Activity, parse_recorded
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
