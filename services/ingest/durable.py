"""Where accepted activities become durable: the seam between the HTTP side and what stands behind it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from shared.errors import ProblemError, TransientError

Durability = Literal["kafka", "spool"]


@dataclass(slots=True)
class OutgoingRecord:
    """A record on its way. Not frozen, because one is made per activity on the hot path."""

    topic: str
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]

    size: int
    """About how many bytes it holds of memory and of a batch."""


class NotDurable(TransientError):
    """Nothing may be promised now; the text says why, for the sender's eyes too."""


class Overloaded(NotDurable):
    """Too much is under way already; nothing of this request has been sent anywhere."""


def unavailable(error: NotDurable, retry_after_s: int) -> ProblemError:
    """What a sender is told whose request could not be kept."""
    retry = {"Retry-After": str(retry_after_s)}
    return ProblemError(503, "unavailable", f"Nothing can be kept safely now: {error}.", headers=retry)


class Durable(Protocol):
    """Takes records so that no crash loses them any more."""

    async def publish(self, records: Sequence[OutgoingRecord]) -> Durability:
        """Return once every record is durable; says where. All of them or, as far as anyone is told, none.

        Raises NotDurable. Called concurrently; never waits longer than its own deadline.
        """

    async def faults(self) -> Mapping[str, str | None]:
        """Part by part what is wrong now, for readiness. Answers within two seconds."""
