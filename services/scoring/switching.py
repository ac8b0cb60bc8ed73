"""Stored leads folded again by other versions of the models, and what follows: their rows and their records.

Plain data in and out, so that it can be done in a process of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson

from services.scoring.core.entries import Entry
from services.scoring.core.evaluation import Evaluation
from services.scoring.core.events import Change, shadow_scored, told
from services.scoring.core.lead import LeadState, Models, refold
from services.scoring.core.release import may_qualify
from services.scoring.core.timing import evaluations_at
from services.scoring.lead_row import LeadRow
from services.scoring.packing import Packed, pack_records, pack_row, unpack_records
from services.scoring.renewal import fill, renew
from shared.activity import parse_history
from shared.events import OutboxRow

CAUSE = "model"


@dataclass(slots=True)
class StoredLead:
    """A lead as it stands in the database; `history` are all its activities, as one list in JSON. `served`: the models
    that score it have folded it already, and only shadows beside them have not.
    """

    row: LeadRow
    history: bytes
    entries: Sequence[Entry]
    served: bool = False


@dataclass(slots=True)
class SwitchedLead:
    """A lead's row as it is to be written, and what is to be published.

    `held` is the score of one that shall wait for its release, and is not switched yet.
    """

    row: LeadRow
    published: Sequence[OutboxRow]
    held: float | None = None


def switch(
    models: Models, leads: Sequence[StoredLead], now: datetime, *, silent: bool = True, hold: bool = False
) -> list[SwitchedLead]:
    """Fold leads by `models` and bring their rows up to that. A row counts only if the stored one is still as it was.

    With `hold`, a lead that may qualify by the switch is left as it is. One that is served already is what it was to
    everybody but the readers of shadows: its next change is published as what it is, and may raise a crossing.
    """
    # A history is let go of once it is folded: one fits into the caches, all of them do not. The rest goes step by step
    # for all leads: with one after the other the processor fetches code and data anew, a sixth slower.
    before = [LeadState.unpack(lead.row.state, folded=hold) for lead in leads]
    after = [_folded(models, *one, now) for one in zip(leads, before, strict=True)]
    held = [_score_held(models, *one, now) for one in zip(before, after, strict=True)] if hold else [None] * len(leads)
    changes = [
        renew(lead.row, state, models, CAUSE, now, silent=silent) if score is None and not lead.served else None
        for lead, state, score in zip(leads, after, held, strict=True)
    ]
    return [
        _beside(lead.row, state, models, now)
        if lead.served
        else SwitchedLead(lead.row, () if change is None else told(change, models), score)
        for lead, state, change, score in zip(leads, after, changes, held, strict=True)
    ]


def _beside(row: LeadRow, state: LeadState, models: Models, now: datetime) -> SwitchedLead:
    """The lead with other shadows: the same version, and how they see it."""
    at = state.next_instant(now)
    evaluations = evaluations_at(models, state, at)
    fill(row, state, models, evaluations)
    if not models.shadows:
        return SwitchedLead(row, ())
    shadows = {model.key: state.evaluation(model, at) for model in models.shadows}
    change = Change(row.id, row.version, CAUSE, state.profile, evaluations, at, shadows=shadows)
    return SwitchedLead(row, (shadow_scored(change, models),))


def _folded(models: Models, lead: StoredLead, before: LeadState, now: datetime) -> LeadState:
    history, now = parse_history(orjson.loads(lead.history)), before.instant(now)
    if lead.served and before.ahead_at is not None:
        # What has come due since is the timer's to publish.
        now = min(now, before.ahead_at - timedelta.resolution)
    after = refold(models, history, before.profile.identifiers, now, lead.entries, before.profile)
    after.stages, after.seen_at, after.due_at = before.stages, before.seen_at, before.due_at
    return after


def _score_held(models: Models, before: LeadState, after: LeadState, now: datetime) -> float | None:
    """The score of a lead that may qualify by the switch, None for any other."""
    serving = models.serving(before)
    if serving is models or serving.live == models.live:
        return None
    evaluations = _evaluations(models, after, now)
    if not may_qualify(_evaluations(serving, before, now), evaluations, models):
        return None
    score = evaluations[models.primary.name].score
    return float("-inf") if score is None else score / 100


def switch_packed(models: Models, packed: Packed, now: datetime, *, hold: bool) -> Packed:
    """As `switch`, of what `pack_leads` gave; `unpack_switched` reads the answer."""
    leads = [StoredLead(LeadRow(*row), *rest) for row, *rest in packed]
    return [
        (pack_row(lead.row), pack_records(lead.published), lead.held) for lead in switch(models, leads, now, hold=hold)
    ]


def pack_leads(leads: Sequence[StoredLead]) -> Packed:
    """Stored leads for another process."""
    return [(pack_row(lead.row), lead.history, lead.entries, lead.served) for lead in leads]


def unpack_switched(packed: Packed) -> list[SwitchedLead]:
    """What another process has made of stored leads."""
    return [SwitchedLead(LeadRow(*row), unpack_records(records), held) for row, records, held in packed]


def _evaluations(models: Models, state: LeadState, now: datetime) -> Mapping[str, Evaluation]:
    return evaluations_at(models, state, state.instant(now))
