"""Leads and models in few words, for the tests of the scoring core."""

from datetime import UTC, datetime, timedelta
from typing import Any

from services.scoring.core.compile import CompiledModel, compile_model
from services.scoring.core.engine import fold_all
from services.scoring.core.evaluation import Evaluation
from services.scoring.core.loader import model_from
from shared.activity import Activity
from shared.identity import EMAIL, EXTERNAL, Identifier

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def act(
    kind: str,
    at: datetime = NOON,
    *,
    id: str = "",  # noqa: A002 - the name it has everywhere else
    source: str = "web",
    email: str | None = None,
    attributes: dict[str, Any] | None = None,
    flags: tuple[str, ...] = (),
    **properties: Any,
) -> Activity:
    """An activity; without an id one made from type and instant."""
    name = Identifier(EMAIL, email) if email else Identifier(EXTERNAL, "crm:1")
    return Activity(
        id=id or f"{kind}-{at.isoformat()}",
        source=source,
        type=kind,
        occurred_at=at,
        received_at=at,
        identifiers=(name,),
        email=email,
        attributes=attributes or {},
        properties=properties,
        consent=None,
        flags=flags,
    )


def compiled(**sections: Any) -> CompiledModel:
    """A compiled model of these sections."""
    return compile_model(model_from({"model": "test", **sections}))


def one_rule(**rule: Any) -> CompiledModel:
    """A model with one engagement rule `r` on page_viewed, worth 1 unless told otherwise."""
    base = {"id": "r", "activity": "page_viewed"}
    paying = {} if "cells" in rule else {"points": 1}
    return compiled(engagement={"rules": [base | paying | rule]})


def points(model: CompiledModel, activities: list[Activity], at: datetime) -> float:
    """The score in points."""
    score = fold_all(model, activities, at).score
    assert score is not None
    return score / 100


def lines(evaluation: Evaluation) -> dict[str, float]:
    """Reasons as rule to points."""
    return {reason.rule: reason.points / 100 for reason in evaluation.reasons}
