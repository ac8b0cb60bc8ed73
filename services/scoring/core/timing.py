"""When the timer looks at a lead again, under all of its models."""

from collections.abc import Mapping
from datetime import datetime

from services.scoring.core.due import matters, next_check_at
from services.scoring.core.evaluation import Evaluation
from services.scoring.core.lead import LeadState, Models

Evaluations = Mapping[str, Evaluation]
"""One evaluation for each model, by its name."""


def evaluations_at(models: Models, state: LeadState, at: datetime) -> dict[str, Evaluation]:
    """The lead under every model at `at`, which is not before what is folded."""
    return {model.name: state.evaluation(model, at) for model in models.live}


def next_look_at(
    models: Models,
    state: LeadState,
    at: datetime,
    published: Evaluations,
    current: Evaluations,
    *,
    exact: bool = False,
) -> datetime | None:
    """Nothing that time alone does to the lead is worth publishing before this instant; None if nothing ever is.

    `published` is what subscribers know, `current` how the lead stands at `at`; `exact` as in `due.next_check_at`.
    """
    looks = [state.ahead_at] if state.ahead_at else []
    for model in models.live:
        fold = state.folds[model.name][1]
        known, now = published[model.name], current[model.name]
        look = next_check_at(model.compiled, fold, at, known, now, state.manual, exact=exact)
        if look is not None:
            looks.append(look)
    return min(looks, default=None)


def worth_publishing(models: Models, published: Evaluations, current: Evaluations) -> bool:
    """Whether time moved the lead far enough under one of its models (see `due.matters`)."""
    return any(matters(model.compiled, published[model.name], current[model.name]) for model in models.live)
