"""Which leads a new version may make qualify: those whose switch is released at the chosen rate."""

from collections.abc import Mapping
from datetime import datetime

from services.scoring.core.evaluation import Evaluation
from services.scoring.core.lead import Models

MINUTE_S = 60.0


def may_qualify(before: Mapping[str, Evaluation], after: Mapping[str, Evaluation], models: Models) -> bool:
    """Whether the switch of a lead may raise a crossing: under some model it stands at a watched total or above (at
    any, where none is watched), and score, grade, level or stage are not what they were.
    """
    return any(
        _reaches(after[model.name], min(model.compiled.model.watch, default=None))
        and _looks(before.get(model.name)) != _looks(after[model.name])
        for model in models.live
    )


def _reaches(evaluation: Evaluation, least: int | None) -> bool:
    return evaluation.score is not None and (least is None or evaluation.score >= least)


def _looks(evaluation: Evaluation | None) -> tuple[object, ...] | None:
    if evaluation is None:
        return None
    return (evaluation.score, evaluation.grade, evaluation.level, evaluation.stage)


def releases_due(per_minute: int, last: datetime | None, now: datetime) -> int:
    """How many leads may be released now, if the last ones were at `last`: what the rate has made room for since, but
    no pile after a pause.
    """
    if last is None:
        return 1
    elapsed = max((now - last).total_seconds(), 0.0)
    return min(int(elapsed * per_minute / MINUTE_S), per_minute // 60 + 1)
