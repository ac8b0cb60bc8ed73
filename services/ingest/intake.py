"""From a posted body to activities and their records. Pure: what comes from outside is passed in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import repeat
from typing import Any, NamedTuple

from services.ingest import cloudevents
from services.ingest.cloudevents import Wrapped
from services.ingest.durable import OutgoingRecord
from services.ingest.ids import id_for_retry
from shared.activity import DEFAULT_SOURCE, Activity, parse_posted, to_record
from shared.codec import encode
from shared.errors import FieldFault, ProblemError
from shared.events import ACTIVITY
from shared.identity import lead_id_for
from shared.posted import ActivityFaults
from shared.topics import LEAD_ACTIVITIES

JSON_TYPE = "application/json"
_SPEC, _TYPE = ("ce_specversion", b"1.0"), ("ce_type", ACTIVITY.encode())
_CONTENT_TYPE = ("content-type", b"application/json")
_HEADER_BYTES = 300
"""What a record's key and headers hold beside id and source, roughly."""

Trace = Sequence[tuple[str, bytes]]
"""Record headers that join a record to its request (`x-request-id`, `traceparent`)."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What does not depend on the request: limits (bytes, count), the key of lead ids, the region of phone numbers,
    and where the id of an activity received at an instant comes from if nothing names it.
    """

    max_activity_bytes: int
    max_items: int
    identity_key: bytes
    region: str
    new_id: Callable[[datetime], str]


class Arrival(NamedTuple):
    """What a request brings beside its body."""

    media_type: str
    headers: Mapping[bytes, bytes]
    idempotency_key: str | None
    received_at: datetime


@dataclass(slots=True)
class Intake:
    """A request ready to be published, in the order of the activities: their ids, sources and times as texts, the keys
    and values of their records. Few and flat objects, since it may come from another process.
    """

    ids: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    times: list[str] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)
    values: list[bytes] = field(default_factory=list)

    def add(self, activity: Activity, identity_key: bytes) -> None:
        """One activity more."""
        value = to_record(activity)
        self.ids.append(activity.id)
        self.sources.append(activity.source)
        self.times.append(value["occurred_at"])
        self.keys.append(_key_of(activity, identity_key))
        self.values.append(encode(value))

    def records(self, trace: Trace) -> list[OutgoingRecord]:
        """The `lead-activities` records, with the headers in `trace` that join them to their request."""
        return list(map(_record, self.ids, self.sources, self.times, self.keys, self.values, repeat(trace)))


@dataclass(slots=True)
class Unwrapped:
    """The activities of a body as posted; `events` where they came as CloudEvents, one for each."""

    raws: list[Any]
    events: list[Wrapped] | None = None
    single: bool = False

    def locate(self, index: int, fault: FieldFault) -> FieldFault:
        """A fault of the activity at `index` with its pointer as seen from the whole body."""
        if self.events is not None:
            return self.events[index].locate(fault)
        return fault if self.single else FieldFault(f"/{index}{fault.pointer}", fault.detail)


def take(body: Any, size: int, arrival: Arrival, terms: Terms) -> Intake:
    """Every activity of a decoded `body` (of `size` bytes), or none.

    Raises ProblemError: 413 `too_large` or `too_many_items`, 422 `invalid_fields` with all faults.
    """
    unwrapped = _unwrap(body, arrival, terms)
    if size > terms.max_activity_bytes:
        _check_sizes(unwrapped, terms.max_activity_bytes)
    intake = Intake()
    faults: list[FieldFault] = []
    received_at = arrival.received_at
    for index, raw in enumerate(unwrapped.raws):
        try:
            activity = parse_posted(
                raw, id_if_absent="", source_if_absent=DEFAULT_SOURCE, received_at=received_at, region=terms.region
            )
        except ActivityFaults as error:
            faults.extend(unwrapped.locate(index, fault) for fault in error.faults)
            continue
        if not activity.id:
            activity.id = _made_id(activity.source, index, arrival, terms)
        intake.add(activity, terms.identity_key)
    if faults:
        raise _refused(faults)
    return intake


def _made_id(source: str, index: int, arrival: Arrival, terms: Terms) -> str:
    if arrival.idempotency_key:
        return id_for_retry(arrival.idempotency_key, source, index)
    return terms.new_id(arrival.received_at)


def _unwrap(body: Any, arrival: Arrival, terms: Terms) -> Unwrapped:
    try:
        if arrival.media_type == cloudevents.STRUCTURED_TYPE:
            return _of_events([cloudevents.unwrap_structured(body)])
        if arrival.media_type == JSON_TYPE and cloudevents.is_binary(arrival.headers):
            return _of_events([cloudevents.unwrap_binary(arrival.headers, body)])
    except ActivityFaults as error:
        raise _refused(error.faults) from None
    if not isinstance(body, list):
        if arrival.media_type == cloudevents.BATCH_TYPE:
            raise _refused([FieldFault("", "a batch is a JSON array of events")])
        return Unwrapped([body], single=True)
    if len(body) > terms.max_items:
        raise ProblemError(413, "too_many_items", f"At most {terms.max_items:,} activities go into one request.")
    return Unwrapped(body) if arrival.media_type == JSON_TYPE else _unwrap_batch(body)


def _unwrap_batch(events: list[Any]) -> Unwrapped:
    wrapped, faults = [], []
    for index, event in enumerate(events):
        try:
            wrapped.append(cloudevents.unwrap_structured(event, f"/{index}"))
        except ActivityFaults as error:
            faults.extend(error.faults)
    if faults:
        raise _refused(faults)
    return _of_events(wrapped)


def _of_events(events: list[Wrapped]) -> Unwrapped:
    return Unwrapped([event.raw for event in events], events)


def _check_sizes(unwrapped: Unwrapped, limit: int) -> None:
    """An activity counts as it is stored: compact, in UTF-8."""
    faults = [
        unwrapped.locate(index, FieldFault("", f"is larger than {limit:,} bytes"))
        for index, raw in enumerate(unwrapped.raws)
        if len(encode(raw)) > limit
    ]
    if faults:
        raise ProblemError(413, "too_large", f"One activity may hold {limit:,} bytes.", faults)


def record_of(activity: Activity, identity_key: bytes, trace: Trace) -> OutgoingRecord:
    """The `lead-activities` record of an activity."""
    value, key = to_record(activity), _key_of(activity, identity_key)
    return _record(activity.id, activity.source, value["occurred_at"], key, encode(value), trace)


def _key_of(activity: Activity, identity_key: bytes) -> bytes:
    """The id that its strongest identifier gives a lead."""
    return lead_id_for(identity_key, activity.identifiers[0]).encode()


def _record(id_: str, source: str, time: str, key: bytes, value: bytes, trace: Trace) -> OutgoingRecord:
    said, sender = id_.encode(), source.encode()
    # As shared.events.cloud_event_headers, with the texts that stand in the value already.
    headers = [
        _SPEC,
        ("ce_id", said),
        ("ce_source", sender),
        _TYPE,
        ("ce_time", time.encode()),
        ("ce_partitionkey", key),
        _CONTENT_TYPE,
        *trace,
    ]
    return OutgoingRecord(
        LEAD_ACTIVITIES.name, key, value, headers, len(value) + len(said) + len(sender) + _HEADER_BYTES
    )


def _refused(faults: Sequence[FieldFault]) -> ProblemError:
    count = f"{len(faults)} fields are" if len(faults) > 1 else "A field is"
    return ProblemError(422, "invalid_fields", f"{count} not as expected; nothing of this request was taken.", faults)
