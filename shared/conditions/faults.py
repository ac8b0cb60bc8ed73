"""Faults of a configuration, each with the path of what is wrong and what was expected there."""

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import ValidationError
from pydantic_core import ErrorDetails

Path = tuple[str | int, ...]
TAG = "~"
"""Alternatives of a union carry tags with this prefix, so that paths can leave them out."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `path` is `("engagement", "rules", 2, "points")`; () is the whole file."""

    path: Path
    expected: str

    @property
    def where(self) -> str:
        """`engagement.rules[2].points`."""
        return path_text(self.path)


def path_text(path: Path) -> str:
    """The path as people write it: `engagement.rules[2].decay.half_life`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def faults_of(error: ValidationError) -> list[Fault]:
    """Every fault pydantic found."""
    return [_fault(item) for item in error.errors(include_url=False, include_input=False)]


def distinct(faults: Iterable[Fault]) -> list[Fault]:
    """Without repetitions, in file order as far as paths tell it."""
    return list(dict.fromkeys(faults))


_KEY = "[key]"  # how pydantic marks a fault of a key itself
_PLAIN = {
    "extra_forbidden": "unknown key",
    "missing": "is missing",
    "int_type": "expected a whole number",
    "string_type": "expected a text",
    "bool_type": "expected true or false",
    "list_type": "expected a list",
    "tuple_type": "expected a list",
    "dict_type": "expected keys with values",
    "model_type": "expected keys with values",
    "model_attributes_type": "expected keys with values",
    "too_short": "expected at least one entry",
}


def _fault(item: ErrorDetails) -> Fault:
    path = tuple(part for part in item["loc"] if not (isinstance(part, str) and part.startswith((TAG, _KEY))))
    if item["type"] in _PLAIN:
        return Fault(path, _PLAIN[item["type"]])
    if item["type"] == "value_error":
        return Fault(path, str(item["ctx"]["error"]))
    message = item["msg"]
    return Fault(path, "expected" + message.removeprefix("Input should be") if message.startswith("Input") else message)
