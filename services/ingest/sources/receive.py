"""From one request to what it is worth: genuine or not, answered how, which activities."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from services.ingest.sources.base import (
    Adapter,
    Delivery,
    Ignored,
    NotUnderstood,
    Options,
    ParsedItem,
    Posted,
    Reply,
    Unreadable,
    Verdict,
)
from services.ingest.sources.drafts import bounded
from shared.activity import Activity, parse_posted
from shared.codec import has_nul
from shared.posted import ActivityFaults

MAX_ACTIVITY_BYTES = 65_536


@dataclass(slots=True)
class Taken:
    """An activity as posted, and the same normalised. Not frozen, as one is made per item; no one writes to it."""

    posted: dict[str, Any]
    activity: Activity


@dataclass(frozen=True, slots=True)
class Received:
    """What became of one request. `reply` is set where a handshake was answered; then there is nothing else.

    `refused` holds what could not be understood: the raw request belongs on `rejected-webhooks` if it is not empty.
    """

    verdict: Verdict
    taken: list[Taken] = field(default_factory=list)
    ignored: list[Ignored] = field(default_factory=list)
    refused: list[NotUnderstood] = field(default_factory=list)
    reply: Reply | None = None


def receive(
    adapter: Adapter, delivery: Delivery, secrets: Sequence[str], *, now: datetime, options: Options
) -> Received:
    """Judge and read one request. Pure; raises nothing."""
    reply = adapter.handshake(delivery, secrets, now, options)
    if reply is not None:
        return Received(
            Verdict(reply.status < 400, "handshake" if reply.status < 400 else "handshake refused"), reply=reply
        )
    verdict = adapter.verify(delivery, secrets, now, options)
    if not verdict.valid:
        return Received(verdict)
    return read(adapter, _without(secrets, delivery), verdict, now=now, options=options)


def _without(secrets: Sequence[str], delivery: Delivery) -> Delivery:
    """The delivery without query fields that are a secret: where a request is all query, fields become properties."""
    fields = delivery.query
    kept = [(name, value) for name, value in fields if not value or value not in secrets]
    if len(kept) == len(fields):
        return delivery
    stripped = urlunsplit(urlsplit(delivery.own_url)._replace(query=urlencode(kept, errors="replace")))
    return replace(delivery, url=stripped) if delivery.arrived is None else replace(delivery, arrived=stripped)


def read(adapter: Adapter, delivery: Delivery, verdict: Verdict, *, now: datetime, options: Options) -> Received:
    """Make activities of a request that `verdict` found genuine; also for one that is read again after a fix."""
    received = Received(verdict)
    try:
        items = adapter.parse(delivery, options)
    except Unreadable as error:
        received.refused.append(NotUnderstood(str(error)))
        return received
    if not items and delivery.body.strip() != b"[]":
        received.refused.append(NotUnderstood("the body names no event"))
    for position, item in enumerate(items):
        if verdict.covers is not None and position >= verdict.covers:
            received.refused.append(NotUnderstood("not covered by the signature", position))
        else:
            _sort(item, position, received, now, options)
    return received


def _sort(item: ParsedItem, position: int, received: Received, now: datetime, options: Options) -> None:
    if isinstance(item, Posted):
        taken = normalised(item, position, now, options)
        if isinstance(taken, Taken):
            received.taken.append(taken)
        else:
            received.refused.append(taken)
    elif isinstance(item, Ignored):
        received.ignored.append(item)
    else:
        received.refused.append(item)


def normalised(item: Posted, position: int, now: datetime, options: Options) -> Taken | NotUnderstood:
    """One activity as ingest keeps it, or why it cannot be kept."""
    try:
        posted, written = bounded(item.activity)
        # The encoder writes U+0000 in one way only; the same letters in a text are rare enough to look closer.
        if b"\\u0000" in written and has_nul(posted):
            return NotUnderstood("a text holds U+0000", position)
        if len(written) > MAX_ACTIVITY_BYTES:
            return NotUnderstood(f"the activity is larger than {MAX_ACTIVITY_BYTES:,} bytes", position)
        activity = parse_posted(
            posted,
            id_if_absent="",
            source_if_absent=options.source,
            received_at=now,
            region=options.region,
        )
    except ActivityFaults as error:
        return NotUnderstood("; ".join(f"{fault.pointer}: {fault.detail}" for fault in error.faults[:8]), position)
    except TypeError:
        # The encoder's word for a text with lone surrogates, which come from headers and addresses.
        return NotUnderstood("a text is not UTF-8", position)
    return Taken(posted, activity)
