"""Bringing a lead's row up to its newly folded state."""

from collections.abc import Sequence
from datetime import datetime

from services.scoring.core.accounts import account_of, contact_of
from services.scoring.core.evaluate import evaluate
from services.scoring.core.evaluation import Evaluation
from services.scoring.core.events import Change, SignalFired
from services.scoring.core.lead import LeadState, Models
from services.scoring.repository import LeadRow
from shared.identity import EMAIL


def renew(
    row: LeadRow,
    state: LeadState,
    models: Models,
    cause: str,
    now: datetime,
    merged_from: Sequence[str] = (),
    signals: Sequence[SignalFired] = (),
    *,
    silent: bool | None = None,
) -> Change:
    """Evaluate `state`, write it into `row` under the next version, and return what is to be published.

    The row must be locked: versions rise without gaps because they are taken under that lock.
    """
    at = state.instant(now)
    evaluations = evaluations_of(state, models, at)
    score = evaluations[models.primary.name].score
    row.version += 1
    row.has_email = any(identifier.kind == EMAIL for identifier in state.profile.identifiers)
    row.score = None if score is None else score / 100
    row.search = state.profile.search_text
    row.state = state.pack()
    shadows = {model.key: evaluate(model.compiled, state.folds[model.key][1], at) for model in models.shadows}
    # Most leads of a busy site are browsers without a name: they belong to no account.
    tells = account_of(state, models) is not None
    row.contact = contact_of(row.id, state, models, evaluations, cause, at).pack() if tells else b""
    return Change(row.id, row.version, cause, state.profile, evaluations, at, merged_from, signals, shadows, silent)


def evaluations_of(state: LeadState, models: Models, at: datetime) -> dict[str, Evaluation]:
    """The lead under every model at `at`."""
    return {model.name: evaluate(model.compiled, state.folds[model.name][1], at) for model in models.live}
