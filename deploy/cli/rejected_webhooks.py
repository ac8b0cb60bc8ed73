"""Requests on `rejected-webhooks` read again: what the present adapters and configuration make of them is posted."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx2

from services.ingest.sources.config import Source
from services.ingest.sources.receive import Received, Taken
from services.ingest.sources.rejected import Part, headers_as_text, read_again, reason_of
from shared.clock import to_rfc3339
from shared.errors import KizashiError
from shared.kafka.records import Record

MAX_POSTED = 100
"""Activities in one request to ingest: at 64 KiB each, they stay below what it takes at once."""

Post = Callable[[Sequence[Mapping[str, Any]]], None]


@dataclass(frozen=True, slots=True)
class Reread:
    """What became of one kept request. `ids` were posted; `refused` says what is still not understood, "" for nothing.

    Where the request cannot be read at all (its source is gone, parts are missing) nothing was posted.
    """

    records: tuple[Record, ...]
    source: str
    ids: tuple[str, ...]
    refused: str

    @property
    def done(self) -> bool:
        """Whether nothing of the request is left to be read."""
        return not self.refused


def whole_requests(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Put the parts of each request together, in the order in which requests become whole.

    `records` come as on the topic: the parts of one request in order, others between them. What is still in parts at
    the end is handed out last, as it is.
    """
    open_: dict[tuple[object, ...], list[Record]] = {}
    for record in records:
        told = headers_as_text(dict(record.headers))
        name = (record.partition, record.key, told.get("source"), told.get("received_at"))
        parts = open_.setdefault(name, [])
        parts.append(record)
        if told.get("part", "1/1") == f"{len(parts)}/{len(parts)}":
            yield open_.pop(name)
    yield from open_.values()


def reread(records: Sequence[Record], sources: Mapping[str, Source], post: Post) -> Reread:
    """Read one kept request again and post its activities under the ids they would have had at first.

    The signature is not asked again: it was found valid when the request was kept, and headers with secrets are gone.
    What was accepted at first is posted again too; its ids make it count once. Raises what `post` raises.
    """
    parts = [Part(headers_as_text(dict(record.headers)), record.value or b"") for record in records]
    name = parts[0].headers.get("source", "")
    source = sources.get(name)
    if source is None:
        return Reread(tuple(records), name, (), "its source is not configured any more")
    try:
        received = read_again(parts, source)
    except (ValueError, KeyError, TypeError) as error:
        return Reread(tuple(records), name, (), f"not a kept request: {error}")
    activities = [_posted(taken) for taken in received.taken]
    for start in range(0, len(activities), MAX_POSTED):
        post(activities[start : start + MAX_POSTED])
    return Reread(tuple(records), name, _ids(received), reason_of(received.refused))


def poster(url: str, key: str) -> Post:
    """A `Post` to an ingest service. The post raises KizashiError where activities are not taken."""

    def post(activities: Sequence[Mapping[str, Any]]) -> None:
        try:
            answer = httpx2.post(
                f"{url}/v1/activities",
                json=list(activities),
                headers={"Authorization": f"Bearer {key}"},
                timeout=30.0,
                trust_env=False,
            )
        except httpx2.HTTPError as error:
            raise KizashiError(f"{url} does not answer ({type(error).__name__})") from None
        if answer.status_code != 202:
            raise KizashiError(f"{url} refuses: {_detail(answer)}")

    return post


def _posted(taken: Taken) -> dict[str, Any]:
    """The activity as posted; one without a time happened when it came, not now."""
    return {"occurred_at": to_rfc3339(taken.activity.occurred_at), **taken.posted}


def _ids(received: Received) -> tuple[str, ...]:
    return tuple(taken.activity.id for taken in received.taken)


def _detail(answer: httpx2.Response) -> str:
    try:
        return f"{answer.status_code} {answer.json()['detail']}"
    except (ValueError, KeyError, TypeError):
        return str(answer.status_code)
