"""Signatures and bodies that can be described instead of programmed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

_TOKEN = re.compile(r"\{([a-z_]+(?::[A-Za-z0-9-]+)?)\}")
SIGNED_PARTS = frozenset({"body", "timestamp", "url", "decoded_url", "method"})

TimeFormat = Literal["s", "ms", "http_date"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """An HMAC over parts of a request, found in one of its headers.

    `signed` is the signed text, with `{body} {timestamp} {url} {decoded_url} {method} {header:NAME}` in place of parts.
    `form` says how the signature stands in `header`: as `{signature}` alone or after a prefix (`sha256={signature}`),
    or `fields` for `t=<time>,v1=<signature>` with any number of v1.
    `timestamp` names the header with the signed time, whose text is signed as received; None where nothing is timed.
    `key` tells how the secret becomes the key: its UTF-8 text, or base64.
    """

    header: str
    signed: str = "{body}"
    algorithm: Literal["sha1", "sha256", "sha512"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    form: str = "{signature}"
    timestamp: str | None = None
    time_format: TimeFormat = "s"
    key: Literal["text", "base64"] = "text"
    tolerance_s: float | None = 300.0


@dataclass(frozen=True, slots=True)
class Mapped:
    """How the generic adapter reads a body whose shape is the sender's own.

    `items`: path of the list of items, "" for the body itself. `type`: path of the kind; `id`: paths of the fields that
    name an event; `time`: path of its instant. `fields`: path in the item → field of the activity (`lead.email`,
    `lead.external_ids.shop`, `attributes.company`, `properties.sku`, `consent.email`).
    """

    items: str = ""
    type: str | None = None
    id: tuple[str, ...] = ()
    time: str | None = None
    time_format: str = "auto"
    test: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)


def signed_parts(template: str) -> list[str]:
    """Split a template: literals at even places, names of parts at odd ones. Raises ValueError for an unknown part."""
    parts = _TOKEN.split(template)
    for name in parts[1::2]:
        if name not in SIGNED_PARTS and not name.startswith("header:"):
            raise ValueError(f"unknown part {{{name}}}")
    return parts
