"""Which thing an activity was about: its object key."""

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

_PROPERTY = {
    "document": "document",
    "page": "url",
    "form": "form",
    "email": "email_id",
    "webinar": "event",
    "seminar": "event",
    "exhibition": "event",
}
_LONGEST = 64


def object_key(activity_type: str, properties: Mapping[str, Any]) -> str:
    """The key by the first word of the type, `properties.object_key` before all; "" is one object of its own."""
    given = properties.get("object_key")
    if given is not None:
        return text_of(given)
    kind = activity_type.partition("_")[0]
    name = _PROPERTY.get(kind)
    if name is None:
        return ""
    key = text_of(properties.get(name))
    if kind == "page":
        return key.partition("?")[0].partition("#")[0]
    if activity_type == "email_clicked" and (link := text_of(properties.get("link"))):
        return f"{key}\x1f{link}"
    return key


def text_of(value: Any) -> str:
    """A text as it is, nothing as "", anything else as its JSON text."""
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def stored_key(key: str) -> str:
    """A long key shrinks to a digest behind a NUL, which no posted text can hold, so that states stay small."""
    if len(key) <= _LONGEST:
        return key
    return "\x00" + hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
