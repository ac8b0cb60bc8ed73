"""Leads brought up to date by the activities that came new: their rows and their records.

Plain data in and out, so that it can be done in a process of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import orjson

from services.scoring.core.engine import signals_of
from services.scoring.core.entries import Entry
from services.scoring.core.events import Change, SignalFired, told
from services.scoring.core.late import late_ones
from services.scoring.core.lead import LeadState, Models, advance, refold
from services.scoring.core.verdicts import Key, Verdict
from services.scoring.lead_row import LeadRow
from services.scoring.packing import Packed, pack_records, pack_row, unpack_records
from services.scoring.renewal import NOBODY, renew
from shared.activity import SILENT, Activity, parse_history
from shared.events import OutboxRow
from shared.identity import Identifier

PROFILE_UPDATED = "profile_updated"


@dataclass(frozen=True, slots=True)
class Arrival:
    """What came for a lead: `activities`, in fold order, and identifiers that are its `own` from now on.

    `waiting` are entries that came before its first activity, None where there are none. A row without a state is that
    of a lead that is not known yet.
    """

    row: LeadRow
    activities: Sequence[Activity]
    own: Sequence[Identifier] = ()
    waiting: Sequence[Entry] | None = None


@dataclass(frozen=True, slots=True)
class Advanced:
    """A lead's row as it is to be written, what is to be published, and activities found to be a machine's.

    Where what came is not enough, the row is as it was and `again` are the identifiers with which the lead is to be
    folded from all that is stored of it; `taken_back` tells that the reason is a verdict on what was paid before.
    """

    row: LeadRow
    published: Sequence[OutboxRow] = field(default_factory=list)
    unpaid: Mapping[Key, Verdict] = field(default_factory=dict)
    again: Sequence[Identifier] | None = None
    taken_back: bool = False


@dataclass(slots=True)
class _Folded:
    models: Models
    state: LeadState
    done: bool = True


def advance_all(models: Models, arrivals: Sequence[Arrival], now: datetime) -> list[Advanced]:
    """Fold what came into each lead, and bring their rows up to that. The rows must be locked."""
    # Step by step for all of them, not lead by lead: so the processor finds code and data near.
    known = [LeadState.unpack(one.row.state) if one.row.state else None for one in arrivals]
    folded = [_fold(models, *pair, now) for pair in zip(arrivals, known, strict=True)]
    changes = [
        bring_up(arrival.row, one.state, one.models, arrival.activities, "activity", now) if one.done else None
        for arrival, one in zip(arrivals, folded, strict=True)
    ]
    return [_advanced(*one) for one in zip(arrivals, folded, changes, strict=True)]


def _fold(models: Models, arrival: Arrival, state: LeadState | None, now: datetime) -> _Folded:
    if state is None:
        arrival.row.merged_into = None
        return _Folded(models, refold(models, arrival.activities, arrival.own, now, arrival.waiting or ()))
    if arrival.own:
        state.profile.own(arrival.own)
    serving = models.serving(state)
    return _Folded(serving, state, arrival.waiting is None and advance(serving, state, arrival.activities, now))


def _advanced(arrival: Arrival, folded: _Folded, change: Change | None) -> Advanced:
    judgement = folded.state.judgement
    if change is None:
        identifiers = [*folded.state.profile.identifiers]
        return Advanced(arrival.row, again=identifiers, taken_back=judgement.taken_back)
    return Advanced(arrival.row, told(change, folded.models), judgement.unpaid)


def bring_up(
    row: LeadRow,
    state: LeadState,
    models: Models,
    fresh: Sequence[Activity],
    cause: str,
    now: datetime,
    merged_from: Mapping[str, int] = NOBODY,
) -> Change:
    """As `renew`, for a lead to which the activities `fresh` have come: with the signals they give, and with those that
    came late. Where the lead did nothing and only its attributes were told, these are the cause.
    """
    if cause == "activity" and fresh and all(one.type == PROFILE_UPDATED for one in fresh):
        cause = "attributes"
    # Beside anything else, history raises what it raises: a crossing is not lost.
    silent = True if fresh and all(SILENT in one.flags for one in fresh) else None
    change = renew(row, state, models, cause, now, merged_from, _signals(models, state, fresh), silent=silent)
    late = late_ones(state.profile, fresh, state.judgement.unpaid)
    return replace(change, late=late) if late else change


def _signals(models: Models, state: LeadState, fresh: Sequence[Activity]) -> list[SignalFired]:
    if not models.signalling:
        return []
    return [
        SignalFired(signal, activity.source, activity.id, activity.occurred_at)
        for activity in fresh
        if (activity.source, activity.id) not in state.judgement.unpaid
        for model in models.live
        for signal in signals_of(model.compiled, activity, state.folds[model.name][1])
    ]


def advance_packed(models: Models, packed: Packed, now: datetime) -> Packed:
    """As `advance_all`, of what `pack_arrivals` gave; `unpack_advanced` reads the answer."""
    arrivals = [
        Arrival(LeadRow(*row), parse_history(orjson.loads(bodies)), [Identifier(*one) for one in own], waiting)
        for row, bodies, own, waiting in packed
    ]
    return [
        (pack_row(lead.row), pack_records(lead.published), dict(lead.unpaid), lead.again, lead.taken_back)
        for lead in advance_all(models, arrivals, now)
    ]


def pack_arrivals(arrivals: Sequence[Arrival], bodies: Mapping[Key, str]) -> Packed:
    """Arrivals for another process, their activities as they are stored."""
    return [
        (
            pack_row(one.row),
            f"[{','.join([bodies[activity.source, activity.id] for activity in one.activities])}]",
            [tuple(identifier) for identifier in one.own],
            one.waiting,
        )
        for one in arrivals
    ]


def unpack_advanced(packed: Packed) -> list[Advanced]:
    """What another process has made of arrivals."""
    return [Advanced(LeadRow(*row), unpack_records(records), *rest) for row, records, *rest in packed]
