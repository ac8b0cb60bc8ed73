"""Conditions, and what activities are about, as plainly as they are written down; shares no code with the engine."""

import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

import re2


def folded(text: str) -> str:
    """The form in which texts are compared."""
    return unicodedata.normalize("NFKC", text).casefold()


def dig(values: Mapping[str, Any], path: str) -> Any:
    """A whole key first, else into objects."""
    if path in values:
        return values[path]
    head, _, rest = path.partition(".")
    return dig(values[head], rest) if rest and isinstance(values.get(head), dict) else None


def same(one: Any, other: Any) -> bool:
    """Equal without coercion."""
    if isinstance(one, str) and isinstance(other, str):
        return folded(one) == folded(other)
    if isinstance(one, bool) or isinstance(other, bool):
        return isinstance(one, bool) and isinstance(other, bool) and one == other
    return number(one) and number(other) and bool(one == other)


def number(value: Any) -> bool:
    """A JSON number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def operate(operator: str, value: Any, constant: Any) -> bool:
    """One operator on a value that is there."""
    if operator in ("not_equals", "not_in"):
        return not operate(operator.removeprefix("not_"), value, constant)
    if operator == "equals":
        return same(value, constant)
    if operator == "in":
        elements = value if isinstance(value, list) else [value]
        return any(same(element, one) for element in elements for one in constant)
    if operator == "contains" and isinstance(value, list):
        return any(same(element, constant) for element in value)
    if operator in ("gt", "gte", "lt", "lte"):
        return number(value) and number(constant) and compare(operator, value, constant)
    if not (isinstance(value, str) and isinstance(constant, str)):
        return False
    if operator == "matches":
        options = re2.Options()
        options.case_sensitive = False
        pattern = re.sub("[（）．＋＊？［］｜＾＄]", lambda m: "\\" + unicodedata.normalize("NFKC", m[0]), constant)
        return bool(
            re2.compile(unicodedata.normalize("NFKC", pattern), options).search(unicodedata.normalize("NFKC", value))
        )
    text, part = folded(value), folded(constant)
    return {"contains": part in text, "starts_with": text.startswith(part), "ends_with": text.endswith(part)}[operator]


def compare(operator: str, value: float, constant: float) -> bool:
    """Numbers."""
    return {"gt": value > constant, "gte": value >= constant, "lt": value < constant, "lte": value <= constant}[
        operator
    ]


def object_key(act: Any) -> tuple[str, ...]:
    """Which thing an activity, with a type and properties, was about."""
    given = act.properties.get("object_key")
    if given is not None:
        return (text(given),)
    kind = act.type.split("_")[0]
    if kind == "document":
        return (text(act.properties.get("document")),)
    if kind == "page":
        return (re.split(r"[?#]", text(act.properties.get("url")))[0],)
    if kind == "form":
        return (text(act.properties.get("form")),)
    if act.type == "email_clicked" and text(act.properties.get("link")):
        return (text(act.properties.get("email_id")), text(act.properties.get("link")))
    if kind == "email":
        return (text(act.properties.get("email_id")),)
    if kind in ("webinar", "seminar", "exhibition"):
        return (text(act.properties.get("event")),)
    return ("",)


def text(value: Any) -> str:
    """A text, or the JSON text of a number or boolean."""
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)
