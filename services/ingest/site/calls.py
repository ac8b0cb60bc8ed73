"""Calls of Segment's tracking protocol as its libraries send them, before any Segment has looked at them.

Source: segment-docs, HTTP tracking API: one call a request, or `{"batch": […], "context": {…}, "sentAt": …}`.
"""

import base64
import binascii
from datetime import datetime
from typing import Any

from services.ingest.ids import new_id
from services.ingest.site.config import Tag
from services.ingest.sources.base import NotUnderstood, Options, Unreadable
from services.ingest.sources.receive import Taken, normalised
from services.ingest.sources.tracking import free_of_clock, tracking_item, unbatched
from shared.errors import ProblemError

CALLS = ("track", "identify", "page", "batch")
MAX_BATCH = 2_500


def write_key_of(authorization: str, body: Any) -> str:
    """The key: the user of Basic authentication, or `writeKey` of the body; "" where there is none."""
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(credentials.strip(), validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    named = body.get("writeKey") if isinstance(body, dict) else None
    return named if isinstance(named, str) else ""


def items_of(call: str, body: Any) -> list[Any]:
    """The calls of a request, each with its type and with what the batch says of all. Raises ProblemError 413, 422."""
    if not isinstance(body, dict):
        raise ProblemError(422, "invalid_fields", "Expected an object.")
    if call != "batch":
        return [{**body, "type": call}]
    batch = body.get("batch")
    if not isinstance(batch, list):
        raise ProblemError(422, "invalid_fields", "Expected an object with an array `batch`.")
    if len(batch) > MAX_BATCH:
        raise ProblemError(413, "too_many_items", f"At most {MAX_BATCH:,} calls go into one batch.")
    return unbatched(body)


def read_calls(items: list[Any], tag: Tag, now: datetime, region: str) -> tuple[list[Taken], list[NotUnderstood]]:
    """The calls that can be kept, and the others with the reason."""
    options = Options(source=tag.name, system=tag.system, types=tag.events, region=region)
    taken: list[Taken] = []
    refused: list[NotUnderstood] = []
    for position, item in enumerate(items):
        result = _read(item, position, tag, now, options)
        if isinstance(result, Taken):
            taken.append(result)
        else:
            refused.append(result)
    return taken, refused


def _read(item: Any, position: int, tag: Tag, now: datetime, options: Options) -> Taken | NotUnderstood:
    try:
        parsed = tracking_item(options, _timed(_called(item, now), now))
    except Unreadable as error:
        return NotUnderstood(str(error), position)
    if isinstance(parsed, NotUnderstood):
        return NotUnderstood(parsed.reason, position)
    activity = getattr(parsed, "activity", None)
    if activity is None:
        return NotUnderstood("switched off in configuration", position)
    if tag.types is not None and activity["type"] not in tag.types:
        return NotUnderstood("/type: this site may not send it", position)
    return normalised(parsed, position, now, options)  # type: ignore[arg-type]


def _called(item: Any, now: datetime) -> Any:
    """With an id where it has neither that nor a time: nothing tells it from the same call made again, and each counts,
    as an activity without an id does.
    """
    if not isinstance(item, dict) or any(item.get(name) for name in ("messageId", "timestamp", "originalTimestamp")):
        return item
    return {**item, "messageId": new_id(now)}


def _timed(item: Any, now: datetime) -> Any:
    """With a `timestamp` that is free of the client's clock: received - (sentAt - timestamp)."""
    if not isinstance(item, dict):
        return item
    said = item.get("timestamp") or item.get("originalTimestamp")
    corrected = free_of_clock(said, item.get("sentAt"), now)
    return item if corrected is None else {**item, "timestamp": corrected, "originalTimestamp": said}
