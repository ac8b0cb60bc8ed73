"""The fields a condition may ask about, where each is allowed, and how it is read from the facts at hand."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.conditions.faults import Fault, Path

Getter = Callable[[Any], Any]
"""Reads one field from the facts; None is a missing or null value."""

_ROOTS = ("properties", "attributes")
_ATTRIBUTE_OF = {
    "source": "source",
    "identity.email_domain": "email_domain",
    "score.total": "total",
    "score.engagement": "engagement",
    "score.fit": "fit",
    "grade": "grade",
    "level": "level",
    "stage": "stage",
}


@dataclass(frozen=True, slots=True)
class Scope:
    """What conditions in one place may ask about.

    Facts given to a compiled condition of this scope carry an attribute per field: `properties`, `attributes`
    (mappings), `source`, `email_domain`, `total`, `engagement`, `fit` (points as floats), `grade`, `level`, `stage`,
    and for `did` a method `did(activity_type, within: timedelta | None) -> int` that counts.
    """

    name: str
    fields: frozenset[str]
    roots: frozenset[str] = frozenset()
    did: bool = False

    def fault(self, field: str) -> str | None:
        """Why `field` cannot be asked about here; None if it can."""
        root, dot, rest = field.partition(".")
        if field in self.fields or (root in self.roots and dot and rest):
            return None
        known = sorted([*self.fields, *(f"{root}.*" for root in self.roots)])
        return f"expected a field that {self.name} may ask about: {', '.join(known)}"


_STATE = frozenset(_ATTRIBUTE_OF) - {"source"}
ACTIVITY = Scope(
    "a rule on activities", frozenset({"source", "identity.email_domain"}), frozenset({"properties", "attributes"})
)
LEAD = Scope("a fit rule", frozenset({"identity.email_domain"}), frozenset({"attributes"}))
STATE = Scope("this place", _STATE, frozenset({"attributes"}), did=True)
GATE = Scope("a gate", _STATE, frozenset({"attributes"}))
"""As STATE, where the lead's activities are not at hand."""
ACCOUNT = Scope("a gate of accounts", frozenset({"score.total"}), frozenset({"attributes"}))
"""An account's score; its name, domains and number of active contacts are its attributes."""


def getter(field: str) -> Getter:
    """How to read `field`; the scope has been checked before."""
    root, _, rest = field.partition(".")
    if root not in _ROOTS:
        return _read(_ATTRIBUTE_OF[field])
    if root == "properties":
        return _read_properties(rest)
    return _read_attributes(rest)


def _read(name: str) -> Getter:
    return lambda facts: getattr(facts, name)


def _read_properties(path: str) -> Getter:
    if "." not in path:
        return lambda facts: facts.properties.get(path)
    return lambda facts: look_up(facts.properties, path)


def _read_attributes(path: str) -> Getter:
    if "." not in path:
        return lambda facts: facts.attributes.get(path)
    return lambda facts: look_up(facts.attributes, path)


def look_up(values: Mapping[str, Any], path: str) -> Any:
    """`a.b.c` means the key "a.b.c" if there is one, else "b.c" inside the object under "a", and so on."""
    if path in values:
        return values[path]
    head, dot, rest = path.partition(".")
    inner = values.get(head) if dot else None
    return look_up(inner, rest) if isinstance(inner, dict) else None


def keys_of(path: str) -> frozenset[str]:
    """The top-level keys that `look_up` may read for this path."""
    return frozenset({path, path.partition(".")[0]})


def block_faults(raw: Any, path: Path, scope: Scope) -> Iterable[Fault]:
    """Faults of `all`, `any`, `none` in a raw (unvalidated) mapping that depend on where it stands."""
    if not isinstance(raw, Mapping):
        return
    for quantifier in ("all", "any", "none"):
        conditions = raw.get(quantifier)
        if isinstance(conditions, Sequence) and not isinstance(conditions, str):
            yield from conditions_faults(conditions, (*path, quantifier), scope)


def conditions_faults(conditions: Sequence[Any], path: Path, scope: Scope) -> Iterable[Fault]:
    """As `block_faults`, for a plain list of conditions."""
    for index, condition in enumerate(conditions):
        if not isinstance(condition, Mapping):
            continue
        field = condition.get("field")
        if "did" in condition and not scope.did:
            yield Fault((*path, index, "did"), f"{scope.name} cannot count activities")
        elif isinstance(field, str) and (expected := scope.fault(field)):
            yield Fault((*path, index, "field"), expected)
