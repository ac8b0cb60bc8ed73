"""One stored lead folded again by other versions of the models, and what follows: its row and its records.

Plain data in and out, so that it can be done in a process of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson

from services.scoring.core.entries import Entry
from services.scoring.core.evaluation import Evaluation
from services.scoring.core.events import told
from services.scoring.core.lead import LeadState, Models, refold
from services.scoring.core.release import may_qualify
from services.scoring.core.timing import evaluations_at
from services.scoring.renewal import renew
from services.scoring.repository import LeadRow
from shared.activity import parse_stored
from shared.events import OutboxRow

CAUSE = "model"


@dataclass(slots=True)
class StoredLead:
    """A lead as it stands in the database; `history` are all its activities, as one list in JSON."""

    row: LeadRow
    history: bytes
    entries: Sequence[Entry]


@dataclass(slots=True)
class SwitchedLead:
    """A lead's row as it is to be written, and what is to be published.

    `held` is the score of one that shall wait for its release, and is not switched yet.
    """

    row: LeadRow
    published: Sequence[OutboxRow]
    held: float | None = None


def switch(models: Models, lead: StoredLead, now: datetime, *, silent: bool = True, hold: bool = False) -> SwitchedLead:
    """Fold a lead by `models` and bring its row up to that. The row counts only if the stored one is still as it was.

    With `hold`, a lead that may qualify by the switch is left as it is.
    """
    row, before = lead.row, LeadState.unpack(lead.row.state, folded=hold)
    history = map(parse_stored, orjson.loads(lead.history))
    after = refold(models, history, before.profile.identifiers, now, lead.entries, before.profile)
    after.stages, after.due_at = before.stages, before.due_at
    if hold and (serving := models.serving(before)) is not models:
        evaluations = _evaluations(models, after, now)
        if may_qualify(_evaluations(serving, before, now), evaluations, models):
            score = evaluations[models.primary.name].score
            return SwitchedLead(row, (), float("-inf") if score is None else score / 100)
    change = renew(row, after, models, CAUSE, now, silent=silent)
    return SwitchedLead(row, told(change, models))


def _evaluations(models: Models, state: LeadState, now: datetime) -> Mapping[str, Evaluation]:
    return evaluations_at(models, state, state.instant(now))
