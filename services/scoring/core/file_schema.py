"""Writes the JSON Schema of a model file, for editors: `python -m services.scoring.core.file_schema`.

It knows shapes and ranges. What refers to what, patterns and time zones are the loader's to check.
"""

import sys
from typing import Any

import orjson

from services.scoring.core.model import Model

ADDRESS = "https://json-schema.org/draft/2020-12/schema"


def file_schema() -> dict[str, Any]:
    """The schema as plain data."""
    described = _plain(Model.model_json_schema(by_alias=True))
    return {"$schema": ADDRESS, **described, "title": "Kizashi scoring model"}


def render() -> bytes:
    """The schema as committed."""
    return orjson.dumps(file_schema(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _plain(node: Any, *, names: bool = False) -> Any:
    """Without defaults, which are in cents or stand for what is absent, generated titles, and null: a key that is not
    wanted is left out. `names`: the keys of this mapping are names of properties and not words of the schema.
    """
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {key: value for key, value in node.items() if names or key not in ("default", "title")}
    options = kept.get("anyOf")
    if not names and isinstance(options, list) and {"type": "null"} in options and len(options) == 2:
        only = next(option for option in options if option != {"type": "null"})
        kept = {**{key: value for key, value in kept.items() if key != "anyOf"}, **only}
    return {key: _plain(value, names=not names and key in ("properties", "$defs")) for key, value in kept.items()}


if __name__ == "__main__":
    sys.stdout.buffer.write(render())
