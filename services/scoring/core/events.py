"""What scoring publishes: a lead's whole state after a change, merges, and tombstones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from services.scoring.core.entries import Entry
from services.scoring.core.evaluation import Evaluation, as_points
from services.scoring.core.forecast import Fall
from services.scoring.core.late import late_out
from services.scoring.core.lead import LiveModel, Models
from services.scoring.core.links import PARTED, Link
from services.scoring.core.profile import Profile
from shared.activity import Activity
from shared.clock import to_rfc3339
from shared.events import (
    ERASED,
    MERGED,
    NO_HEADERS,
    POINTS_GIVEN,
    SCORE_CHANGED,
    SHADOW_SCORED,
    STAGE_CHANGED,
    UNMERGED,
    OutboxRow,
    cloud_event_headers,
    pack_headers,
)
from shared.topics import LEAD_LIFECYCLE, LEAD_SCORES, SHADOW_SCORES

SOURCE = "kizashi/scoring"
MAX_RECORD_BYTES = 700_000
"""Of a lead's state on its topic, uncompressed: Kafka's default is a mebibyte, and handoff adds to it."""
SILENT_CAUSES = frozenset({"model", "repair"})


@dataclass(frozen=True, slots=True)
class SignalFired:
    """A signal of the model and the activity that gave it."""

    signal: str
    source: str
    id: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class StageChange:
    """A lead moved to another stage of a model; None is none."""

    model: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Word:
    """Somebody's word about two leads, and the lead ids it is about: `survivor` took `other` over, or lets it go.

    `ties` are the joins that it needs beside it, said before it.
    """

    link: Link
    survivor: str
    other: str
    author: str
    ties: Sequence[Link] = ()

    def each(self) -> list[Link]:
        """All that is said by it, in order."""
        return [*self.ties, self.link]


@dataclass(slots=True)
class Change:
    """One new state of a lead, to be published; no one writes to it. `merged_from` has the last versions of leads it
    took over, `unmerged_from` is the one it was a part of until now; `falls` are the forecasts of models that have them
    told, `shadows` its evaluations by shadow versions, by their keys; `late` are activities that came with it and that
    the recent ones do not show.

    `silent` says whether a crossing is raised by it, None leaves that to its cause.
    """

    lead_id: str
    version: int
    cause: str
    profile: Profile
    evaluations: Mapping[str, Evaluation]
    evaluated_at: datetime
    merged_from: Mapping[str, int] = field(default_factory=dict)
    signals: Sequence[SignalFired] = ()
    stages: Sequence[StageChange] = ()
    word: Word | None = None
    shadows: Mapping[str, Evaluation] = field(default_factory=dict)
    falls: Mapping[str, Sequence[Fall]] = field(default_factory=dict)
    silent: bool | None = None
    late: Sequence[Activity] = ()
    unmerged_from: str | None = None


def told(change: Change, models: Models) -> list[OutboxRow]:
    """All that a change of a lead is published as: its state, how shadows see it, and what happened to the lead."""
    rows = [score_changed(change, models)]
    if change.shadows:
        rows.append(shadow_scored(change, models))
    word = change.word
    if change.merged_from:
        rows += [lead_tied(change, word, tie) for tie in word.ties] if word is not None else []
        rows.append(lead_merged(change))
    if word is not None and word.link.kind == PARTED and word.other == change.lead_id and change.unmerged_from:
        rows.append(lead_unmerged(change, word))
    rows += [stage_changed(change, one) for one in change.stages]
    return rows


def score_changed(change: Change, models: Models) -> OutboxRow:
    """The `lead-scores` record of a change."""
    moment = to_rfc3339(change.evaluated_at)
    body = {
        "lead_id": change.lead_id,
        "version": change.version,
        "cause": change.cause,
        "silent": change.cause in SILENT_CAUSES if change.silent is None else change.silent,
        "merged_from": list(change.merged_from),
        **({"merged_versions": dict(change.merged_from)} if change.merged_from else {}),
        **({"unmerged_from": change.unmerged_from} if change.unmerged_from else {}),
        "identifiers": change.profile.identifiers_out(),
        "attributes": change.profile.attributes,
        "consent": change.profile.consent_out(),
        "primary": models.primary.name,
        "models": {model.name: _standing(change, model) for model in models.live},
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
        "recent_activities": orjson.Fragment(change.profile.latest_listed),
        **({"late_activities": late_out(change.late)} if change.late else {}),
        "evaluated_at": moment,
    }
    headers = cloud_event_headers(
        id_=f"{change.lead_id}:{change.version}",
        source=SOURCE,
        type_=SCORE_CHANGED,
        time=moment,
        key=change.lead_id,
    )
    value = orjson.dumps(body)
    if len(value) > MAX_RECORD_BYTES:
        value = _shortened(body)
    return OutboxRow(LEAD_SCORES.name, change.lead_id.encode(), value, headers)


def _shortened(body: dict[str, Any]) -> bytes:
    """Without the largest attributes: handoff can do without them, and nobody gets a record that Kafka refuses."""
    attributes = dict(body["attributes"])
    body = {**body, "attributes": attributes, "attributes_omitted": True}
    size = len(orjson.dumps(body))
    sizes = {name: len(orjson.dumps({name: value})) for name, value in attributes.items()}
    for name in sorted(sizes, key=lambda name: (-sizes[name], name)):
        if size <= MAX_RECORD_BYTES:
            break
        del attributes[name]
        size -= sizes[name] - 1
    return orjson.dumps(body)


def _standing(change: Change, model: LiveModel) -> dict[str, Any]:
    """The lead under one model; without a forecast where the model wants none."""
    told = {"version": model.version, **change.evaluations[model.name].to_json()}
    falls = change.falls.get(model.name)
    return told if falls is None else {**told, "forecast": [fall.to_json() for fall in falls]}


def shadow_scored(change: Change, models: Models) -> OutboxRow:
    """The `shadow-scores` record of a change: nobody acts on it. Each set of shadows tells of a version once."""
    keys = ",".join(model.key for model in models.shadows)
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
        id_=f"{change.lead_id}:{change.version}:shadow:{keys}",
        source=SOURCE,
        type_=SHADOW_SCORED,
        time=to_rfc3339(change.evaluated_at),
        key=change.lead_id,
    )
    return OutboxRow(SHADOW_SCORES.name, change.lead_id.encode(), orjson.dumps(body), headers)


def _sums(evaluation: Evaluation) -> dict[str, Any]:
    return {name: value for name, value in evaluation.to_json().items() if name != "reasons"}


def tombstone(lead_id: str, merged_into: str | None = None) -> OutboxRow:
    """Ends the key of a lead in the compacted topic: of one that was erased, or merged into another."""
    headers = NO_HEADERS if merged_into is None else pack_headers([("merged_into", merged_into.encode())])
    return OutboxRow(LEAD_SCORES.name, lead_id.encode(), None, headers)


def stage_changed(change: Change, moved: StageChange) -> OutboxRow:
    """The lifecycle record of a lead that moved to another stage."""
    body = {
        "lead_id": change.lead_id,
        "model": moved.model,
        "from": moved.before,
        "to": moved.after,
        "cause": change.cause,
        "version": change.version,
        "changed_at": to_rfc3339(change.evaluated_at),
    }
    id_ = f"{change.lead_id}:{change.version}:stage:{moved.model}"
    return _lifecycle(change.lead_id, id_, STAGE_CHANGED, body, change.evaluated_at)


def points_given(lead_id: str, entry: Entry) -> OutboxRow:
    """The lifecycle record of points given by hand: with it a database that is filled again from Kafka has them too."""
    body = {
        "lead_id": lead_id,
        "id": entry.id,
        "anchor": entry.anchor,
        "points": as_points(entry.body["points"]),
        "reason": entry.body["reason"],
        "author": entry.body["author"],
        "given_at": to_rfc3339(entry.at),
        "expires_at": entry.body["expires_at"],
    }
    return _lifecycle(lead_id, f"points:{entry.id}", POINTS_GIVEN, body, entry.at)


def _lifecycle(lead_id: str, id_: str, type_: str, body: Mapping[str, Any], at: datetime) -> OutboxRow:
    headers = cloud_event_headers(id_=id_, source=SOURCE, type_=type_, time=to_rfc3339(at), key=lead_id)
    return OutboxRow(LEAD_LIFECYCLE.name, lead_id.encode(), orjson.dumps(body), headers)


def lead_merged(change: Change) -> OutboxRow:
    """The lifecycle record of a merge."""
    body: dict[str, Any] = {
        "lead_id": change.lead_id,
        "merged_from": sorted(change.merged_from),
        "merged_at": to_rfc3339(change.evaluated_at),
    }
    if change.word is not None:
        body |= _said(change.word, change.word.link)
    return _lifecycle(change.lead_id, f"{change.lead_id}:{change.version}:merged", MERGED, body, change.evaluated_at)


def lead_tied(change: Change, word: Word, tie: Link) -> OutboxRow:
    """The lifecycle record of what a merge by hand has to bind beside the anchors of the two leads."""
    body = {
        "lead_id": change.lead_id,
        "merged_from": [tie.other],
        "merged_at": to_rfc3339(change.evaluated_at),
        **_said(word, tie),
    }
    id_ = f"{change.lead_id}:{change.version}:merged:{tie.other}"
    return _lifecycle(change.lead_id, id_, MERGED, body, change.evaluated_at)


def lead_unmerged(change: Change, word: Word) -> OutboxRow:
    """The lifecycle record of a lead that stands for itself again."""
    body = {
        "lead_id": change.lead_id,
        "unmerged_from": word.survivor,
        "unmerged_at": to_rfc3339(change.evaluated_at),
        **_said(word, word.link),
    }
    return _lifecycle(
        change.lead_id, f"{change.lead_id}:{change.version}:unmerged", UNMERGED, body, change.evaluated_at
    )


def lead_erased(lead_id: str, ids: Sequence[str], hashes: Sequence[str], at: datetime) -> OutboxRow:
    """The lifecycle record of an erasure. `hashes` are keyed hashes of what the lead was called by."""
    body = {
        "lead_id": lead_id,
        "lead_ids": sorted(ids),
        "identifier_hashes": list(hashes),
        "erased_at": to_rfc3339(at),
    }
    return _lifecycle(lead_id, f"{lead_id}:erased", ERASED, body, at)


def _said(word: Word, link: Link) -> dict[str, Any]:
    """Who said it, and about which identifiers: with it a database that is filled again from Kafka knows it too."""
    return {"author": word.author, "anchors": {"survivor": link.survivor, "other": link.other}}
