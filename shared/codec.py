"""JSON in and out, as strict as the contract asks."""

from itertools import chain
from typing import Any

import orjson

from shared.errors import FieldFault, ProblemError, pointer

MAX_DEPTH = 32
"""Levels of what is posted."""
MESSAGE_DEPTH = 2 * MAX_DEPTH
"""Levels of a message of our own, which carries what was posted some levels further in."""
_NESTING = frozenset({dict, list})

encode = orjson.dumps


class JsonFault(ValueError):
    """The bytes are no JSON this project accepts; the text says why, without quoting the body."""


def decode(body: bytes, max_depth: int = MAX_DEPTH) -> Any:
    """Parse JSON in UTF-8.

    Raises JsonFault for broken JSON, invalid UTF-8, lone surrogates, NaN and infinities, numbers beyond a double's
    range, and nesting deeper than `max_depth`.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise JsonFault(f"broken JSON: {error.msg} at byte {error.pos}") from error
    if body.count(b"{") + body.count(b"[") > max_depth and _depth(value, max_depth) > max_depth:
        raise JsonFault(f"nested deeper than {max_depth} levels")
    return value


def check_json(body: bytes) -> object:
    """Parse a JSON body. Raises ProblemError: 400 `invalid_json`, 422 `invalid_fields` where a text holds U+0000."""
    try:
        value: object = decode(body)
    except JsonFault as error:
        raise ProblemError(400, "invalid_json", str(error)) from None
    if b"\\u0000" in body and (place := nul_in(value)) is not None:
        raise nul_problem(place)
    return value


def nul_problem(place: str) -> ProblemError:
    """The error for a text that holds U+0000, at a JSON pointer."""
    fault = FieldFault(place, "holds U+0000, which cannot be stored")
    return ProblemError(422, "invalid_fields", "Some fields are not as expected.", [fault])


def _depth(value: Any, enough: int) -> int:
    """Nesting of arrays and objects, or more than `enough`; level by level, since the parser accepts more levels than
    Python's stack.
    """
    depth, level = 0, [value] if type(value) in _NESTING else []
    while level and depth <= enough:
        depth += 1
        children = chain.from_iterable(node.values() if type(node) is dict else node for node in level)
        level = [child for child in children if type(child) in _NESTING]
    return depth


def has_nul(value: Any) -> bool:
    """Whether a text anywhere in the value, keys included, holds U+0000, which PostgreSQL cannot store."""
    return nul_in(value) is not None


def nul_in(value: Any) -> str | None:
    """The JSON pointer of a text that holds U+0000; of a key that does, that of what stands under it."""
    todo = [("", value)]
    while todo:
        place, node = todo.pop()
        if isinstance(node, str):
            if "\x00" in node:
                return place
        elif isinstance(node, dict):
            for key, inner in node.items():
                at = place + pointer([key])
                if "\x00" in key:
                    return at
                todo.append((at, inner))
        elif isinstance(node, list):
            todo.extend((f"{place}/{number}", inner) for number, inner in enumerate(node))
    return None
