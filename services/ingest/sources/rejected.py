"""Genuine requests that could not be understood: kept as they came, without what is secret, to be read again."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import orjson

from services.ingest.sources.base import SECRET_NAME, Delivery, Headers, NotUnderstood, Verdict, to_bytes
from services.ingest.sources.config import Source
from services.ingest.sources.receive import Received, read
from shared.clock import from_rfc3339, to_rfc3339

MAX_REASON = 1_000
_KEPT_QUERY = 4_096


@dataclass(frozen=True, slots=True)
class Part:
    """One record's worth: Kafka takes no record of 8 MiB, so a long body is cut. `headers` stand on every part."""

    headers: dict[str, str]
    value: bytes


def parts_of(
    source: Source,
    delivery: Delivery,
    verdict: Verdict,
    refused: Sequence[NotUnderstood],
    at: datetime,
    part_bytes: int,
) -> list[Part]:
    """The request as one record or more, in order. All parts of one request need the same record key."""
    body = source.adapter.redact(delivery.body)
    cuts = [body[start : start + part_bytes] for start in range(0, len(body), part_bytes)] or [b""]
    common = {
        "source": source.name,
        "adapter": source.adapter.name,
        "reason": reason_of(refused)[:MAX_REASON],
        "received_at": to_rfc3339(at),
        "method": delivery.method,
        "url": without_secrets(delivery.url, source.secrets),
        "request_headers": orjson.dumps(_public(delivery.headers, source.secrets)).decode(),
        "covers": "" if verdict.covers is None else str(verdict.covers),
    }
    return [Part({**common, "part": f"{number}/{len(cuts)}"}, cut) for number, cut in enumerate(cuts, 1)]


def reason_of(refused: Sequence[NotUnderstood]) -> str:
    """One text for all that was refused, the position of an item before its reason."""
    return "; ".join(f"item {item.position}: {item.reason}" for item in refused)


def read_again(parts: Iterable[Part], source: Source) -> Received:
    """Read a kept request with the present adapter and configuration; it was found genuine when it came.

    Raises ValueError for parts that are not those of one whole request, in order.
    """
    found = list(parts)
    if not found or [part.headers.get("part") for part in found] != [
        f"{n}/{len(found)}" for n in range(1, len(found) + 1)
    ]:
        raise ValueError("not all parts of one request")
    told = found[0].headers
    pairs = [(str(name), str(value)) for name, value in orjson.loads(told["request_headers"])]
    delivery = Delivery(told["method"], told["url"], Headers(pairs), b"".join(part.value for part in found))
    covers = int(told["covers"]) if told.get("covers") else None
    verdict = Verdict(True, "found genuine when it came", covers)
    received_at = from_rfc3339(told["received_at"])
    return read(source.adapter, delivery, verdict, now=received_at, options=replace(source.options, source=source.name))


def _public(headers: Headers, secrets: Sequence[str]) -> list[tuple[str, str]]:
    return [
        (_readable(name), _readable(value))
        for name, value in headers
        if not SECRET_NAME.search(name) and not any(secret in value for secret in secrets if secret)
    ]


def without_secrets(url: str, secrets: Sequence[str]) -> str:
    """The address without credentials, and without query fields that are or are named like a secret."""
    try:
        address = urlsplit(_readable(url))
        fields = parse_qsl(address.query[:_KEPT_QUERY], keep_blank_values=True)
    except ValueError:
        return ""
    kept = [(name, value) for name, value in fields if value not in secrets and not SECRET_NAME.search(name)]
    return urlunsplit((address.scheme, address.netloc.rpartition("@")[2], address.path, urlencode(kept), ""))


def _readable(text: str) -> str:
    return to_bytes(text).decode("utf-8", "replace")


def headers_as_text(headers: Mapping[str, bytes]) -> dict[str, str]:
    """Record headers as `Part` has them."""
    return {name: value.decode("utf-8", "replace") for name, value in headers.items()}
