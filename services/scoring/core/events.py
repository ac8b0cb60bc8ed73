"""What scoring publishes: a lead's whole state after a change, merges, and tombstones."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from services.scoring.core.evaluation import Evaluation
from services.scoring.core.lead import Models
from services.scoring.core.profile import Profile
from shared.clock import to_rfc3339
from shared.events import MERGED, SCORE_CHANGED, cloud_event_headers
from shared.outbox import OutboxRow
from shared.topics import LEAD_LIFECYCLE, LEAD_SCORES

SOURCE = "kizashi/scoring"


@dataclass(frozen=True, slots=True)
class Change:
    """One new state of a lead, to be published."""

    lead_id: str
    version: int
    cause: str
    profile: Profile
    evaluations: Mapping[str, Evaluation]
    evaluated_at: datetime
    merged_from: Sequence[str] = ()
    signals: Sequence[str] = ()


def score_changed(change: Change, models: Models) -> OutboxRow:
    """The `lead-scores` record of a change."""
    body = {
        "lead_id": change.lead_id,
        "version": change.version,
        "cause": change.cause,
        "merged_from": list(change.merged_from),
        "identifiers": change.profile.identifiers_out(),
        "attributes": change.profile.attributes,
        "primary": models.primary.name,
        "models": {model.name: evaluation_out(change.evaluations[model.name], model.version) for model in models.live},
        "signals": list(change.signals),
        "recent_activities": change.profile.recent,
        "evaluated_at": to_rfc3339(change.evaluated_at),
    }
    headers = cloud_event_headers(
        id_=f"{change.lead_id}:{change.version}",
        source=SOURCE,
        type_=SCORE_CHANGED,
        time=change.evaluated_at,
        key=change.lead_id,
    )
    return OutboxRow(LEAD_SCORES.name, change.lead_id.encode(), orjson.dumps(body), headers)


def evaluation_out(evaluation: Evaluation, version: int) -> dict[str, Any]:
    """An evaluation under one model as events carry it."""
    return {
        "version": version,
        "score": points(evaluation.score),
        "engagement": points(evaluation.engagement),
        "fit": points(evaluation.fit),
        "manual": points(evaluation.manual),
        "grade": evaluation.grade,
        "level": evaluation.level,
        "cell": evaluation.cell,
        "stage": evaluation.stage,
        "coverage": evaluation.coverage,
        "reasons": reasons_out(evaluation),
    }


def reasons_out(evaluation: Evaluation) -> list[dict[str, Any]]:
    """The reasons with points; they add up to the score."""
    return [
        {"rule": reason.rule, "points": points(reason.points), "count": reason.count} for reason in evaluation.reasons
    ]


def points(cents: int | None) -> float | None:
    """Hundredths to points."""
    return None if cents is None else cents / 100


def tombstone(lead_id: str) -> OutboxRow:
    """Ends the key of a merged lead in the compacted topic."""
    return OutboxRow(LEAD_SCORES.name, lead_id.encode(), None, [])


def lead_merged(survivor: str, merged: Iterable[str], version: int, at: datetime) -> OutboxRow:
    """The lifecycle record of a merge."""
    body = {"lead_id": survivor, "merged_from": sorted(merged), "merged_at": to_rfc3339(at)}
    headers = cloud_event_headers(
        id_=f"{survivor}:{version}:merged", source=SOURCE, type_=MERGED, time=at, key=survivor
    )
    return OutboxRow(LEAD_LIFECYCLE.name, survivor.encode(), orjson.dumps(body), headers)
