"""From a posted body to activities and their records. Pure: what comes from outside is passed in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
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
_TYPE = ACTIVITY.encode()
_HEADER_BYTES = 300
"""What a record's key and headers hold beside id and source, roughly."""


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
    trace: Sequence[tuple[str, bytes]]
    """Record headers that join the record to the request (`x-request-id`, `traceparent`)."""


@dataclass(slots=True)
class Intake:
    """A request ready to be published: ids and sources in the order of the activities."""

    ids: list[str]
    sources: list[str]
    records: list[OutgoingRecord]


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
    ids: list[str] = []
    sources: list[str] = []
    records: list[OutgoingRecord] = []
    faults: list[FieldFault] = []
    received_at, trace = arrival.received_at, arrival.trace
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
        ids.append(activity.id)
        sources.append(activity.source)
        records.append(record_of(activity, terms.identity_key, trace))
    if faults:
        raise _refused(faults)
    return Intake(ids, sources, records)


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


def record_of(activity: Activity, identity_key: bytes, trace: Sequence[tuple[str, bytes]]) -> OutgoingRecord:
    """The `lead-activities` record of an activity, keyed by the id its strongest identifier gives a lead."""
    key = lead_id_for(identity_key, activity.identifiers[0]).encode()
    value = to_record(activity)
    id_, source = activity.id.encode(), activity.source.encode()
    # As shared.events.cloud_event_headers, with the texts that stand in the value already.
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", id_),
        ("ce_source", source),
        ("ce_type", _TYPE),
        ("ce_time", value["occurred_at"].encode()),
        ("ce_partitionkey", key),
        ("content-type", b"application/json"),
        *trace,
    ]
    body = encode(value)
    return OutgoingRecord(LEAD_ACTIVITIES.name, key, body, headers, len(body) + len(id_) + len(source) + _HEADER_BYTES)


def _refused(faults: Sequence[FieldFault]) -> ProblemError:
    count = f"{len(faults)} fields are" if len(faults) > 1 else "A field is"
    return ProblemError(422, "invalid_fields", f"{count} not as expected; nothing of this request was taken.", faults)
