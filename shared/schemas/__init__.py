"""The events on topics as JSON Schemas (2020-12), one file per type and version, with examples that parse for ever.

A new field goes into the file of its version; a field that changes its meaning or goes away needs a new version.
"""

from pathlib import Path
from typing import Any

import orjson

_FOLDER = Path(__file__).parent


def types() -> list[str]:
    """The event types with a schema, by name."""
    return sorted(path.stem for path in _FOLDER.glob("*.json"))


def schema(type_: str) -> dict[str, Any]:
    """The JSON Schema of an event type. Raises FileNotFoundError where there is none."""
    found: dict[str, Any] = orjson.loads((_FOLDER / f"{type_}.json").read_bytes())
    return found


def examples(type_: str) -> dict[str, Any]:
    """Values of an event type, by name."""
    return {
        path.stem: orjson.loads(path.read_bytes()) for path in sorted((_FOLDER / "examples" / type_).glob("*.json"))
    }
