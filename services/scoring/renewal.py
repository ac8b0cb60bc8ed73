"""Bringing a lead's row up to its newly folded state."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from services.scoring.core.accounts import contact_of
from services.scoring.core.evaluation import Evaluation
from services.scoring.core.events import Change, SignalFired, StageChange
from services.scoring.core.lead import LeadState, Models
from services.scoring.core.timing import evaluations_at, next_look_at
from services.scoring.lead_row import LeadRow

NOBODY: Mapping[str, int] = MappingProxyType({})


def renew(
    row: LeadRow,
    state: LeadState,
    models: Models,
    cause: str,
    now: datetime,
    merged_from: Mapping[str, int] = NOBODY,
    signals: Sequence[SignalFired] = (),
    *,
    silent: bool | None = None,
) -> Change:
    """Evaluate `state`, write it into `row` under the next version, and return what is to be published.

    The row must be locked: versions rise without gaps because they are taken under that lock. No version is evaluated
    at an earlier instant than the one before.
    """
    # A state folded anew knows neither where the lead stood nor when the timer is to look: its row does.
    before = LeadState.unpack(row.state) if state.stages is None and row.state else None
    if before is not None:
        state.seen_at = state.seen_at or before.seen_at
        state.due_at = state.due_at or before.due_at
    at = state.next_instant(now)
    evaluations = evaluations_at(models, state, at)
    moved = _note_stages(state, before, models, evaluations)
    row.version += 1
    past = state.due_at is not None and state.due_at <= at
    look_again(row, state, models, at, evaluations, evaluations, later=past)
    state.seen_at = at
    fill(row, state, models, evaluations)
    shadows = {model.key: state.evaluation(model, at) for model in models.shadows}
    # Most leads of a busy site are browsers without a name: they belong to no account.
    contact = contact_of(row.id, state, models, evaluations, cause, at)
    row.contact = b"" if contact.key is None else contact.pack()
    return Change(
        row.id,
        row.version,
        cause,
        state.profile,
        evaluations,
        at,
        merged_from,
        signals,
        stages=moved,
        shadows=shadows,
        falls=state.forecasts(models, at, evaluations),
        silent=silent,
    )


def fill(row: LeadRow, state: LeadState, models: Models, evaluations: Mapping[str, Evaluation]) -> None:
    """Write `state` into `row`."""
    score = evaluations[models.primary.name].score
    row.has_email = state.profile.has_email
    row.score = None if score is None else score / 100
    row.search = state.profile.search_text
    row.state = state.pack()


def look_again(
    row: LeadRow,
    state: LeadState,
    models: Models,
    at: datetime,
    published: Mapping[str, Evaluation],
    current: Mapping[str, Evaluation],
    *,
    later: bool = False,
) -> None:
    """Note when the timer has to look at the lead next.

    An earlier note stays unless `later`: looking too soon costs a look, and most activities then cost no write.
    """
    look = next_look_at(models, state, at, published, current, exact=later)
    if later or (look is not None and (state.due_at is None or look < state.due_at)):
        state.due_at = row.due_at = look
        row.due_moved = True


def _note_stages(
    state: LeadState, anew_from: LeadState | None, models: Models, evaluations: Mapping[str, Evaluation]
) -> Sequence[StageChange]:
    if not models.staged:
        return ()
    known = anew_from.stages if anew_from is not None else state.stages
    before, after, moved = known or {}, {}, []
    for model in models.live:
        evaluation = evaluations[model.name]
        was = before.get(model.name, model.compiled.first_stage)
        # An excluded lead stands nowhere, and comes back to where it stood.
        stage = was if evaluation.excluded else evaluation.stage
        if stage != was:
            moved.append(StageChange(model.name, was, stage))
        if stage != model.compiled.first_stage:
            after[model.name] = stage
    state.stages = after
    return moved
