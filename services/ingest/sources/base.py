"""What an adapter is: a pure description of how one tool signs its webhooks and what their bodies mean."""

import hmac
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

from services.ingest.sources.recipes import Mapped, Recipe

UTC_ZONE = ZoneInfo("UTC")


SECRET_NAME = re.compile(r"authorization|cookie|secret|token|password|api-?key", re.IGNORECASE)
"""Headers and query fields of such a name hold a secret, if not one of ours."""


class AmbiguousHeader(ValueError):
    """A header that decides about authenticity was sent twice with different values."""

    def __init__(self, name: str) -> None:
        super().__init__(f"header {name} is given twice with different values")


class Unreadable(ValueError):
    """A request, or one item of it, that the adapter cannot understand; the text says why without quoting it."""


class Headers:
    """Header lines as received: names compared without case, duplicates kept in order."""

    __slots__ = ("_values", "pairs")

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self.pairs = tuple((name, value) for name, value in pairs)
        self._values: dict[str, list[str]] = {}
        for name, value in self.pairs:
            self._values.setdefault(name.lower(), []).append(value.strip())

    def all(self, name: str) -> list[str]:
        """Every value of a header, in the order received."""
        return self._values.get(name.lower(), [])

    def one(self, name: str) -> str | None:
        """The value of a header that a decision hangs on. Raises AmbiguousHeader for two different ones."""
        values = self.all(name)
        if len(set(values)) > 1:
            raise AmbiguousHeader(name)
        return values[0] if values else None

    def first(self, name: str) -> str | None:
        """The first value of a header that nothing hangs on."""
        values = self.all(name)
        return values[0] if values else None

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.pairs)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One HTTP request of a tool. `url` is the public address as the tool requested it, query included.

    Behind a proxy that address is what configuration says. `arrived` is the one that the request itself had, where the
    two may differ: what proves who sent it, and what it says, stands in the request and not in configuration.
    """

    method: str
    url: str
    headers: Headers
    body: bytes
    arrived: str | None = None

    @property
    def own_url(self) -> str:
        """The address that the request itself had."""
        return self.url if self.arrived is None else self.arrived

    @property
    def query(self) -> list[tuple[str, str]]:
        """The decoded fields of the query string, in order."""
        try:
            text = urlsplit(self.own_url).query
            return parse_qsl(text, keep_blank_values=True, errors="replace", max_num_fields=1_000)
        except ValueError:
            return []

    def query_field(self, name: str) -> str | None:
        """The first field of that name in the query string."""
        return next((value for key, value in self.query if key == name), None)

    @property
    def media_type(self) -> str:
        """`application/json`, in lower case, without parameters."""
        return (self.headers.first("content-type") or "").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request is genuine. `reason` begins with `signature`, `missing header`, `timestamp` or `secret`.

    `covers`: how many items of the body the signature vouches for, None for the whole request.
    """

    valid: bool
    reason: str
    covers: int | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """How one configured source differs from its tool's defaults.

    `source` names the activities' source; `system` is the name under `lead.external_ids`; `zone` reads times that carry
    no offset; `tolerance_s` is the greatest age of a signed time (`"default"`: the tool's own; None: any age).
    """

    source: str
    system: str
    zone: ZoneInfo = UTC_ZONE
    tolerance_s: float | Literal["default"] | None = "default"
    types: Mapping[str, str] = field(default_factory=dict)
    activity: str | None = None
    region: str = "JP"
    accept_v1: bool = False
    verify_token: str | None = None
    organization_ids: tuple[str, ...] = ()
    signature: Recipe | None = None
    mapping: Mapped | None = None


@dataclass(slots=True)
class Posted:
    """An activity as `POST /v1/activities` would take it; one normaliser serves both. Not frozen, as one is made per
    item; no one writes to it.
    """

    activity: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ignored:
    """An item that is understood and must not be published: a test delivery, a kind switched off in configuration."""

    reason: str


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """An item that no activity can be made of; `position` counts from 0 within the request."""

    reason: str
    position: int = 0


ParsedItem = Posted | Ignored | NotUnderstood


@dataclass(frozen=True, slots=True)
class Reply:
    """What a tool is answered with, where its protocol asks for more than a 2xx."""

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()


Verify = Callable[[Delivery, Sequence[str], datetime, Options], Verdict]
Parse = Callable[[Delivery, Options], list[ParsedItem]]
Handshake = Callable[[Delivery, Sequence[str], datetime, Options], Reply | None]
Redact = Callable[[bytes], bytes]


def no_handshake(delivery: Delivery, secrets: Sequence[str], now: datetime, options: Options) -> Reply | None:  # noqa: ARG001 - the shape of a handshake
    """For tools that register an address without asking it anything."""
    return None


def unchanged(body: bytes) -> bytes:
    """For tools whose bodies carry no secret."""
    return body


@dataclass(frozen=True, slots=True)
class Adapter:
    """One tool. All functions are pure: they may raise nothing but, from `parse`, Unreadable for the whole request.

    `verify` is called with the raw bytes before anything is parsed, `parse` only for what it found genuine.
    `handshake` is asked first; it answers the tool's question about the address, or None for ordinary deliveries, and
    must itself verify whatever it answers with a secret. `answer` is sent in place of the report, where set.
    `redact` removes secrets from a body before it is kept. `secret_in_path`: `verify` takes a shared secret, which may
    also be the last step of the source's address.
    """

    name: str
    verify: Verify
    parse: Parse
    handshake: Handshake = no_handshake
    answer: Reply | None = None
    redact: Redact = unchanged
    best_effort: bool = False
    secret_in_path: bool = False


def to_bytes(text: str) -> bytes:
    """The bytes a header, address or secret stood for; never raises."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def equal(left: str | bytes, right: str | bytes) -> bool:
    """Whether two texts are equal, in time that depends on neither's content."""
    first = to_bytes(left) if isinstance(left, str) else left
    second = to_bytes(right) if isinstance(right, str) else right
    return hmac.compare_digest(first, second)
