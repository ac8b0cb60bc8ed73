"""Records of the topics that handoff reads, to values: what cannot be read becomes a dead letter."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.handoff.core.answers import AnswerRecord, parse_answer
from services.handoff.core.state import LeadState, parse_state
from shared.errors import InvalidMessage
from shared.events import SCORE_CHANGED, OutboxRow
from shared.kafka.dead_letter import dead_letter
from shared.kafka.records import Record

SILENT_HEADER = "silent"
MERGED_HEADER = "merged_into"
GRACE = timedelta(minutes=10)
"""Services of a new stack start within this time of each other; older states stem from leads that were there before."""


@dataclass(frozen=True, slots=True)
class FirstStart:
    """When handoff was started for the very first time, and where each partition of `lead-scores` ended then.

    A state younger than `grace` at that time may be of a stack that is just starting as a whole.
    """

    at: datetime
    ends: Mapping[int, int]
    grace: timedelta = GRACE

    def was_there_before(self, record: Record, evaluated_at: datetime) -> bool:
        """Whether a state was published, and was no longer fresh, before anybody asked for handoffs."""
        return record.offset < self.ends.get(record.partition, 0) and evaluated_at < self.at - self.grace


@dataclass(frozen=True, slots=True)
class Arrived:
    """A state to judge; `silent` where its crossing shall raise nothing."""

    state: LeadState
    silent: bool


@dataclass(slots=True)
class Incoming:
    """The states of a batch in order, the leads whose key ended in it, and the dead letters."""

    states: list[Arrived] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)
    letters: list[OutboxRow] = field(default_factory=list)


def read_states(records: Iterable[Record], first_start: FirstStart) -> Incoming:
    """Read a batch of `lead-scores`.

    A tombstone ends a lead that was erased: its states before it are not judged any more. That of a lead that was
    merged says so and ends nothing yet: the survivor's record, on another partition, takes the lead over. Until that is
    read the lead stands as it stood, as if a run in between had come before the merge.
    """
    incoming = Incoming()
    for record in records:
        if record.value is None:
            if record.key is not None and _header(record, MERGED_HEADER) is None:
                incoming.ended.add(record.key.decode(errors="replace"))
            continue
        try:
            state = _read_state(record, record.value)
        except InvalidMessage as error:
            incoming.letters.append(dead_letter(record, str(error)))
            continue
        silent = asks_for_silence(record) or first_start.was_there_before(record, state.evaluated_at)
        incoming.states.append(Arrived(state, silent))
    incoming.states = [one for one in incoming.states if one.state.lead_id not in incoming.ended]
    return incoming


def _read_state(record: Record, value: bytes) -> LeadState:
    typed_value(record, SCORE_CHANGED)
    state = parse_state(value)
    if record.key is not None and record.key != state.lead_id.encode():
        # The order of a lead's states holds within its own partition only.
        raise InvalidMessage("expected the lead's id as key")
    return state


def typed_value(record: Record, expected: str) -> None:
    """Raises InvalidMessage for a record of another event type; one that names none is taken at its topic's word."""
    type_ = _header(record, "ce_type")
    if type_ is not None and type_ != expected.encode():
        raise InvalidMessage(f"expected ce_type {expected}")


def asks_for_silence(record: Record) -> bool:
    """Whether whoever wrote the record wants no crossing from it."""
    return _header(record, SILENT_HEADER) in (b"true", b"1")


def _header(record: Record, name: str) -> bytes | None:
    for key, value in record.headers:
        if key == name:
            return value
    return None


def read_answer(record: Record, now: datetime) -> AnswerRecord:
    """The answer a record of `handoff-answers` carries, taken at `now`. Raises InvalidMessage."""
    if record.value is None:
        raise InvalidMessage("has no value")
    answer = parse_answer(record.value)
    if faults := answer.untimely(now):
        raise InvalidMessage("; ".join(f"{fault.pointer}: {fault.detail}" for fault in faults))
    return answer
