"""Previews and backtests over what is stored: pieces of work for `sharding`, and the whole results."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import asyncpg

from services.scoring.core.backtest import Backtest, Case, Course, backtest, split_instant
from services.scoring.core.compile import CompiledModel, compile_model
from services.scoring.core.entries import Entry
from services.scoring.core.lead import LiveModel, Models, refold
from services.scoring.core.loader import model_from
from services.scoring.core.past import course_of, is_told, score_before
from services.scoring.core.preview import Preview, SeenLead, standing_of
from services.scoring.core.profile import Profile
from services.scoring.outcomes import Outcome, instants_of, one_per_lead
from services.scoring.sharding import Progress, StoredHistory, over_leads
from shared.errors import KizashiError
from shared.identity import EMAIL, EXTERNAL, PHONE
from shared.settings import DatabaseSettings

DEFAULT_THRESHOLD = 5_000
DEFAULT_SPLIT = 0.7


@dataclass(frozen=True, slots=True)
class BacktestQuestion:
    """What a backtest asks: the threshold in cents, the share of earlier cases, how long before its outcome a lead is
    scored, and how many leads a week sales can take.
    """

    threshold: int
    split: float = DEFAULT_SPLIT
    before: timedelta = timedelta()
    per_week: float | None = None


def threshold_of(tree: Mapping[str, Any]) -> int:
    """The threshold in cents where none is asked for: the highest total that the model watches, else 50 points."""
    return max(model_from(tree).watch, default=DEFAULT_THRESHOLD)


async def preview(
    database: DatabaseSettings,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    at: datetime,
    threshold: int,
    progress: Progress,
    processes: int,
) -> Preview:
    """All leads at `at` under both models, given as plain data."""
    found = Preview(threshold)
    work = _PreviewPart(_text(before), _text(after), at, threshold)
    async for part in over_leads(database, work, progress, processes):
        found.add(part)
    return found


@dataclass(frozen=True, slots=True)
class _PreviewPart:
    before: str
    after: str
    at: datetime
    threshold: int

    def __call__(self, leads: Sequence[StoredHistory]) -> list[SeenLead]:
        before, after = _compiled(self.before), _compiled(self.after)
        models = Models((LiveModel("before", 1, before), LiveModel("after", 1, after)))
        return [self._seen(lead, models) for lead in leads]

    def _seen(self, lead: StoredHistory, models: Models) -> SeenLead:
        state = refold(models, lead.activities, lead.state.profile.identifiers, self.at, lead.entries)
        instant = state.instant(self.at)
        before, after = (standing_of(state.evaluation(model, instant)) for model in models.live)
        moved = (before.score or 0) >= self.threshold or (after.score or 0) >= self.threshold
        return SeenLead(_known_as(lead.id, state.profile) if moved else (lead.id, None, None, None), before, after)


@dataclass(slots=True)
class Judgements:
    """Cases and courses as they come in."""

    cases: list[Case] = field(default_factory=list)
    courses: list[Course] = field(default_factory=list)
    last: datetime | None = None
    untold: int = 0
    """Leads that cannot be judged: what they did until then was removed."""

    def add(self, other: "Judgements") -> None:
        """Take over another part's."""
        self.cases += other.cases
        self.courses += other.courses
        self.untold += other.untold
        self.last = max(filter(None, (self.last, other.last)), default=None)

    def look_at(
        self, model: CompiledModel, lead: str, ordered: Sequence[Any], outcome: Outcome | None,
        split_at: datetime | None, before: timedelta, entries: Sequence[Entry] = (),
    ) -> None:  # fmt: skip
        """One lead, its activities in fold order."""
        judged_at = None if outcome is None else outcome.at - before
        if not all(is_told(at, entries) for at in (judged_at, split_at) if at is not None):
            self.untold += 1
            return
        if outcome is not None:
            score = score_before(model, ordered, outcome.at - before, entries)
            self.cases.append(Case(lead, outcome.at, outcome.converted, score))
        if ordered and split_at is not None:
            self.courses.append(course_of(model, ordered, split_at, entries))
            self.last = max(self.last or ordered[-1].occurred_at, ordered[-1].occurred_at)


async def backtest_stored(
    database: DatabaseSettings,
    tree: Mapping[str, Any],
    outcomes: Sequence[Outcome],
    question: BacktestQuestion,
    progress: Progress,
    processes: int,
) -> Backtest:
    """The model, given as plain data, against `outcomes`, whose leads are ids or known as in files."""
    by_lead = one_per_lead(await _by_id(database, outcomes))
    split_at = split_instant(instants_of(by_lead), question.split)
    work = _BacktestPart(_text(tree), by_lead, split_at, question.before)
    found = Judgements()
    async for part in over_leads(database, work, progress, processes):
        found.add(part)
    return result_of(found, split_at, question)


def result_of(found: Judgements, split_at: datetime | None, question: BacktestQuestion) -> Backtest:
    """What all parts together say."""
    end = max([*(case.at for case in found.cases), *([found.last] if found.last else [])], default=None)
    result = backtest(found.cases, found.courses, split_at, end, question.threshold, question.per_week)
    return replace(result, untold=found.untold)


@dataclass(frozen=True, slots=True)
class _BacktestPart:
    tree: str
    outcomes: Mapping[str, Outcome]
    split_at: datetime | None
    before: timedelta

    def __call__(self, leads: Sequence[StoredHistory]) -> Judgements:
        found, model = Judgements(), _compiled(self.tree)
        for lead in leads:
            outcome = self.outcomes.get(lead.id)
            found.look_at(model, lead.id, lead.activities, outcome, self.split_at, self.before, lead.entries)
        return found


def _text(tree: Mapping[str, Any]) -> str:
    """A model as a text, which is sent to other processes and remembered; it may hold whole numbers of any size."""
    return json.dumps(tree)


@lru_cache(maxsize=8)
def _compiled(tree: str) -> CompiledModel:
    return compile_model(model_from(json.loads(tree)))


def _known_as(lead_id: str, profile: Profile) -> tuple[str, str | None, str | None, str | None]:
    named = [profile.attributes.get(name) for name in ("name", "company")]
    name, company = (value if isinstance(value, str) else None for value in named)
    return lead_id, name, company, profile.identifiers_out()["email"]


async def _by_id(database: DatabaseSettings, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Outcomes by the id of the lead that is meant now: addresses looked up, merged leads followed.

    Raises KizashiError where outcomes were given and none is about a stored lead.
    """
    conn = await asyncpg.connect(database.url.get_secret_value())
    try:
        names = sorted({outcome.lead for outcome in outcomes})
        owned = await conn.fetch(
            "SELECT i.value, coalesce(l.merged_into, l.id)::text FROM scoring.identifier i"
            " JOIN scoring.lead l ON l.id = i.lead_id WHERE i.kind = ANY($1::text[]) AND i.value = ANY($2::text[])",
            [EMAIL, EXTERNAL, PHONE],
            names,
        )
        stored = await conn.fetch(
            "SELECT id::text, coalesce(merged_into, id)::text FROM scoring.lead WHERE id::text = ANY($1::text[])", names
        )
    finally:
        await conn.close()
    target = {row[0]: row[1] for row in (*owned, *stored)}
    found = [Outcome(target[one.lead], one.at, one.converted) for one in outcomes if one.lead in target]
    if outcomes and not found:
        raise KizashiError("no outcome is about a lead that is stored here")
    return found
