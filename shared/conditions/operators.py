"""What each operator of a condition means, as a test of one value. Nothing is ever coerced."""

import unicodedata
from collections.abc import Callable
from typing import Any

from shared.conditions.patterns import compile_pattern

Scalar = str | int | float | bool | None
Predicate = Callable[[Any], bool]
"""Tests a value that is there; a missing one never reaches it."""


def fold(text: str) -> str:
    """The comparison form of a text: NFKC, then case folding. ASCII needs no NFKC, and most texts are ASCII."""
    return text.casefold() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()


def comparable(value: Any) -> Any:
    """A form in which two scalars are equal exactly if the language of conditions says so.

    Python holds `True == 1`; here they differ, so booleans are tagged. Lists and objects equal nothing.
    """
    kind = type(value)
    if kind is str:
        return fold(value)
    if kind is bool:
        return ("boolean", value)
    if kind is int or kind is float:
        return value
    return _NOTHING


_NOTHING = None


def _equals(constant: Any) -> Predicate:
    wanted = comparable(constant)
    if wanted is _NOTHING:
        return lambda _: False
    if isinstance(constant, str):
        return lambda value: type(value) is str and fold(value) == wanted
    return lambda value: comparable(value) == wanted


def _in(constants: Any) -> Predicate:
    wanted = frozenset(form for form in map(comparable, constants) if form is not _NOTHING)

    def holds(value: Any) -> bool:
        if type(value) is str:
            return fold(value) in wanted
        if type(value) is list:
            return any(comparable(element) in wanted for element in value)
        return comparable(value) in wanted

    return holds


def _not(predicate: Predicate) -> Predicate:
    return lambda value: not predicate(value)


def _contains(constant: Any) -> Predicate:
    member = _equals(constant)
    part = fold(constant) if isinstance(constant, str) else None

    def holds(value: Any) -> bool:
        if type(value) is str:
            return part is not None and part in fold(value)
        return type(value) is list and any(member(element) for element in value)

    return holds


def _starts_with(constant: Any) -> Predicate:
    if not isinstance(constant, str):
        return lambda _: False
    start = fold(constant)
    return lambda value: type(value) is str and fold(value).startswith(start)


def _ends_with(constant: Any) -> Predicate:
    if not isinstance(constant, str):
        return lambda _: False
    end = fold(constant)
    return lambda value: type(value) is str and fold(value).endswith(end)


def _matches(constant: Any) -> Predicate:
    search = compile_pattern(constant)
    return lambda value: type(value) is str and search(value)


def is_number(value: Any) -> bool:
    """Whether a JSON value is a number; a boolean is none."""
    return type(value) is int or type(value) is float


def _gt(constant: Any) -> Predicate:
    return (lambda value: is_number(value) and value > constant) if is_number(constant) else lambda _: False


def _gte(constant: Any) -> Predicate:
    return (lambda value: is_number(value) and value >= constant) if is_number(constant) else lambda _: False


def _lt(constant: Any) -> Predicate:
    return (lambda value: is_number(value) and value < constant) if is_number(constant) else lambda _: False


def _lte(constant: Any) -> Predicate:
    return (lambda value: is_number(value) and value <= constant) if is_number(constant) else lambda _: False


OPERATORS: dict[str, Callable[[Any], Predicate]] = {
    "equals": _equals,
    "not_equals": lambda constant: _not(_equals(constant)),
    "in": _in,
    "not_in": lambda constants: _not(_in(constants)),
    "contains": _contains,
    "starts_with": _starts_with,
    "ends_with": _ends_with,
    "matches": _matches,
    "gt": _gt,
    "gte": _gte,
    "lt": _lt,
    "lte": _lte,
}
"""Name of an operator to the maker of its test. `exists` is not among them: it asks about the missing value too."""
EXISTS = "exists"
NAMES = (*OPERATORS, EXISTS)
