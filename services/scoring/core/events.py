"""What scoring publishes: a lead's whole state after a change, merges, and tombstones."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from services.scoring.core.evaluation import Evaluation
from services.scoring.core.lead import Models
from services.scoring.core.profile import Profile
from shared.clock import to_rfc3339
from shared.events import ACCOUNT_CHANGED, MERGED, SCORE_CHANGED, SHADOW_SCORED, cloud_event_headers
from shared.outbox import OutboxRow
from shared.topics import ACCOUNT_SCORES, LEAD_LIFECYCLE, LEAD_SCORES, SHADOW_SCORES

SOURCE = "kizashi/scoring"
SILENT_CAUSES = frozenset({"model", "repair"})


@dataclass(frozen=True, slots=True)
class SignalFired:
    """A signal of the model and the activity that gave it."""

    signal: str
    source: str
    id: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """One new state of a lead, to be published. `shadows` are its evaluations by shadow versions, by their keys.

    `silent` says whether a crossing is raised by it, None leaves that to its cause.
    """

    lead_id: str
    version: int
    cause: str
    profile: Profile
    evaluations: Mapping[str, Evaluation]
    evaluated_at: datetime
    merged_from: Sequence[str] = ()
    signals: Sequence[SignalFired] = ()
    shadows: Mapping[str, Evaluation] = field(default_factory=dict)
    silent: bool | None = None


def told(change: Change, models: Models) -> list[OutboxRow]:
    """The records of a change: the lead's new state, and how the shadows see it."""
    records = [score_changed(change, models)]
    if change.shadows:
        records.append(shadow_scored(change, models))
    return records


def score_changed(change: Change, models: Models) -> OutboxRow:
    """The `lead-scores` record of a change."""
    body = {
        "lead_id": change.lead_id,
        "version": change.version,
        "cause": change.cause,
        "silent": change.cause in SILENT_CAUSES if change.silent is None else change.silent,
        "merged_from": list(change.merged_from),
        "identifiers": change.profile.identifiers_out(),
        "attributes": change.profile.attributes,
        "primary": models.primary.name,
        "models": {
            model.name: {"version": model.version, **change.evaluations[model.name].to_json()} for model in models.live
        },
        "signals": list(dict.fromkeys(fired.signal for fired in change.signals)),
        "signal_activities": [
            {
                "signal": fired.signal,
                "source": fired.source,
                "id": fired.id,
                "occurred_at": to_rfc3339(fired.occurred_at),
            }
            for fired in change.signals
        ],
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


def shadow_scored(change: Change, models: Models) -> OutboxRow:
    """The `shadow-scores` record of a change: nobody acts on it."""
    body = {
        "lead_id": change.lead_id,
        "version": change.version,
        "cause": change.cause,
        "shadows": [
            {"name": model.name, "version": model.version, **change.shadows[model.key].to_json()}
            for model in models.shadows
        ],
        "models": {
            model.name: {"version": model.version, **_sums(change.evaluations[model.name])} for model in models.live
        },
        "evaluated_at": to_rfc3339(change.evaluated_at),
    }
    headers = cloud_event_headers(
        id_=f"{change.lead_id}:{change.version}:shadow",
        source=SOURCE,
        type_=SHADOW_SCORED,
        time=change.evaluated_at,
        key=change.lead_id,
    )
    return OutboxRow(SHADOW_SCORES.name, change.lead_id.encode(), orjson.dumps(body), headers)


def _sums(evaluation: Evaluation) -> dict[str, Any]:
    return {name: value for name, value in evaluation.to_json().items() if name != "reasons"}


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


def account_changed(account_id: str, version: int, state: Mapping[str, Any], cause: str, at: datetime) -> OutboxRow:
    """The `account-scores` record of an account; `state` is what `account_state` gave."""
    body = {
        "account_id": account_id,
        "version": version,
        **state,
        "cause": cause,
        "evaluated_at": to_rfc3339(at),
    }
    headers = cloud_event_headers(
        id_=f"{account_id}:{version}", source=SOURCE, type_=ACCOUNT_CHANGED, time=at, key=account_id
    )
    return OutboxRow(ACCOUNT_SCORES.name, account_id.encode(), orjson.dumps(body), headers)


def account_gone(account_id: str) -> OutboxRow:
    """Ends the key of an account that nobody belongs to any more."""
    return OutboxRow(ACCOUNT_SCORES.name, account_id.encode(), None, [])
