"""What every kind of destination is given and gives back; an adapter implements `Channel`."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from services.handoff.core.delivery import message_id
from shared.events import DELIVERY_TEST

MAX_REQUEST_TEXT = 16_384
MAX_ANSWER_TEXT = 4_096


class Run(Protocol):
    """The collected leads of one run, as events' data, read in pages when asked for."""

    async def count(self) -> int:
        """How many there are."""

    async def first(self, limit: int) -> Sequence[dict[str, Any]]:
        """The first ones."""

    def all(self) -> AsyncIterator[dict[str, Any]]:
        """All of them."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One delivery as it is sent; `run` are the leads of the run that the event ends, where they come as one."""

    delivery_id: UUID
    event_id: str
    type: str
    time: str
    value: bytes
    data: Mapping[str, Any]
    created_at: datetime
    run: Run | None = None

    @property
    def test(self) -> bool:
        """Whether somebody only asks if the destination works."""
        return self.type == DELIVERY_TEST

    @property
    def message_id(self) -> str:
        """The id that all attempts share."""
        return message_id(self.delivery_id)


@dataclass(frozen=True, slots=True)
class Report:
    """What came of one attempt. `request` and `response` are kept and shown: bounded, and without secrets.

    `gone`: the receiver says that it wants nothing more. `asked` is its `Retry-After`. `skipped`: there is nobody to
    send it to, which no repetition changes and which says nothing about the destination; `problem` says why.
    """

    request: Mapping[str, Any]
    response: Mapping[str, Any] | None = None
    problem: str | None = None
    asked: timedelta | None = None
    gone: bool = False
    skipped: bool = False

    @property
    def delivered(self) -> bool:
        """Whether the receiver has it."""
        return self.problem is None


class Channel(Protocol):
    """One destination, ready to be sent to. Called by several tasks at once."""

    async def send(self, parcel: Parcel, now: datetime) -> Report:
        """Make one attempt. What the receiver or the network do wrong is reported, not raised."""

    async def aclose(self) -> None:
        """Close what is open."""


def shown_text(body: bytes, limit: int) -> str:
    """Bytes as a text that a database takes, cut to `limit` characters."""
    return body[: limit * 4].decode("utf-8", "replace").replace("\x00", "\ufffd")[:limit]
