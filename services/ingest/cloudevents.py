"""CloudEvents 1.0 over HTTP: binary, structured and batched mode, to activities as posted.

Source: cloudevents/spec 1.0.2, bindings/http-protocol-binding.md §3 and formats/json-format.md.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from shared.codec import JsonFault, decode, nul_in
from shared.errors import FieldFault, ProblemError
from shared.events import ACTIVITY
from shared.posted import ActivityFaults

BATCH_TYPE, STRUCTURED_TYPE = "application/cloudevents-batch+json", "application/cloudevents+json"
FILLS = {"id": "id", "source": "source", "time": "occurred_at"}
"""Attributes of the event that fill gaps of the activity, and which."""

_HEADER_POINTER = "/headers/ce-"
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')


class Wrapped(NamedTuple):
    """An activity as posted, and where its fields stood, so that faults point to what the sender wrote."""

    raw: Any
    prefix: str = ""
    moved: Mapping[str, str] = MappingProxyType({})

    def locate(self, fault: FieldFault) -> FieldFault:
        """`fault` with the pointer as seen from the whole body."""
        return FieldFault(self.moved.get(fault.pointer) or self.prefix + fault.pointer, fault.detail)


class Event(NamedTuple):
    """An event of any type: its attributes as sent, its data, and the data with gaps filled from the attributes."""

    attributes: Mapping[str, Any]
    data: dict[str, Any]
    wrapped: Wrapped


def is_binary(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a request with another content type carries an event in its headers."""
    return b"ce-specversion" in headers or b"ce-type" in headers


def unwrap_binary(headers: Mapping[bytes, bytes], data: Any) -> Wrapped:
    """The activity of a binary-mode event. Raises ActivityFaults; ProblemError 400 for a header that is not text."""
    return open_binary(headers, data, ACTIVITY).wrapped


def open_binary(headers: Mapping[bytes, bytes], data: Any, type_: str | None = None) -> Event:
    """A binary-mode event of one type, or of any. Raises as `unwrap_binary`."""
    attributes = {
        name: _header_text(headers[raw])
        for name in ("specversion", "type", *FILLS)
        if (raw := b"ce-" + name.encode()) in headers
    }
    return _open(attributes, data, _HEADER_POINTER, "", type_)


def unwrap_structured(event: Any, prefix: str = "") -> Wrapped:
    """The activity of one event in JSON format. Raises ActivityFaults with pointers below `prefix`."""
    return open_structured(event, prefix, ACTIVITY).wrapped


def open_structured(event: Any, prefix: str = "", type_: str | None = None) -> Event:
    """An event in JSON format of one type, or of any. Raises as `unwrap_structured`."""
    if not isinstance(event, dict):
        raise ActivityFaults([FieldFault(prefix, "an event is a JSON object")])
    content_type = event.get("datacontenttype", "application/json")
    if not isinstance(content_type, str) or "json" not in content_type.lower():
        raise ActivityFaults([FieldFault(f"{prefix}/datacontenttype", "expected application/json")])
    where = "data_base64" if "data" not in event and "data_base64" in event else "data"
    data = _from_base64(event, prefix) if where == "data_base64" else event.get("data")
    return _open(event, data, prefix + "/", f"{prefix}/{where}", type_)


def _open(
    attributes: Mapping[str, Any], data: Any, attribute_prefix: str, data_pointer: str, type_: str | None
) -> Event:
    faults = []
    for name, expected in (("specversion", "1.0"), ("type", type_)):
        if expected is not None and attributes.get(name) != expected:
            faults.append(FieldFault(attribute_prefix + name, f"expected {expected}"))
    for name in ("id", "source") if type_ else ("type", "id", "source"):
        if not isinstance(attributes.get(name), str) or not attributes[name]:
            faults.append(FieldFault(attribute_prefix + name, "expected a text that is not empty"))
    if not isinstance(data, dict):
        faults.append(FieldFault(data_pointer, "expected an activity as a JSON object"))
    if faults:
        raise ActivityFaults(faults)
    filled = {to: name for name, to in FILLS.items() if data.get(to) is None and attributes.get(name) is not None}
    raw = {**data, **{to: attributes[name] for to, name in filled.items()}}
    wrapped = Wrapped(raw, data_pointer, {f"/{to}": attribute_prefix + name for to, name in filled.items()})
    # Neither a header nor base64 shows U+0000 to whoever has looked at the body.
    if (place := nul_in(raw)) is not None:
        raise ActivityFaults([wrapped.locate(FieldFault(place, "holds U+0000, which cannot be stored"))])
    return Event(attributes, data, wrapped)


def _from_base64(event: Mapping[str, Any], prefix: str) -> Any:
    try:
        return decode(base64.b64decode(event["data_base64"], validate=True))
    except (TypeError, ValueError, binascii.Error, JsonFault):
        raise ActivityFaults([FieldFault(f"{prefix}/data_base64", "expected base64 of a JSON activity")]) from None


def _header_text(value: bytes) -> str:
    """Undo double quotes, then one round of percent-encoding (§3.1.3.2). Raises ProblemError 400 for bad UTF-8."""
    text = value.decode("latin-1")
    if quoted := _QUOTED.fullmatch(text):
        text = re.sub(r"\\(.)", r"\1", quoted[1])
    try:
        return unquote_to_bytes(text.encode("latin-1")).decode("utf-8")
    except UnicodeDecodeError:
        raise ProblemError(400, "invalid_header", "A ce- header is not percent-encoded UTF-8.") from None
