"""A lead's published state as handoff sees it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.clock import from_rfc3339
from shared.errors import InvalidMessage

SILENT_CAUSES = frozenset({"model", "repair"})


@dataclass(frozen=True, slots=True)
class SeenLead:
    """One `lead.score-changed.v1` event; `body` is the whole of it."""

    lead_id: str
    version: int
    cause: str
    merged_from: tuple[str, ...]
    primary: str
    models: Mapping[str, Mapping[str, Any]]
    evaluated_at: datetime
    body: Mapping[str, Any]

    @classmethod
    def of(cls, body: Any) -> "SeenLead":
        """Read an event's data. Raises InvalidMessage where it is none."""
        try:
            models = dict(body["models"])
            return cls(
                lead_id=_text(body["lead_id"]),
                version=int(body["version"]),
                cause=_text(body["cause"]),
                merged_from=tuple(_text(item) for item in body.get("merged_from") or ()),
                primary=_text(body.get("primary") or next(iter(models))),
                models={name: _state(state) for name, state in models.items()},
                evaluated_at=from_rfc3339(body["evaluated_at"]),
                body=body,
            )
        except (KeyError, TypeError, ValueError, AttributeError, StopIteration) as error:
            raise InvalidMessage(f"is no lead.score-changed.v1: {type(error).__name__} {error}") from error

    def state(self, model: str | None) -> Mapping[str, Any] | None:
        """The lead under `model`, the primary where none is named; None if that model did not score it."""
        return self.models.get(model or self.primary)

    def score(self, model: str | None) -> int | None:
        """The score in cents; None if there is none or the lead is excluded."""
        state = self.state(model)
        return None if state is None or state["score"] is None else round(state["score"] * 100)

    @property
    def is_silent(self) -> bool:
        """Whether this state came about without the lead doing anything."""
        return self.cause in SILENT_CAUSES or bool(self.body.get("silent"))


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("expected a text")
    return value


def _state(state: Any) -> Mapping[str, Any]:
    score = state["score"]
    if score is not None and (isinstance(score, bool) or not isinstance(score, (int, float))):
        raise ValueError("a score is a number or null")
    return {"grade": None, "level": None, "stage": None, "coverage": None, "reasons": [], **state}
