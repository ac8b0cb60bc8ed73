"""What has to hold of any lead under any model, said once, for short runs, long runs and runs with planted bugs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

import orjson

from services.scoring.core.compile import CompiledModel, compile_model
from services.scoring.core.engine import fold_all, until
from services.scoring.core.entries import POINTS, manual_of, recyclings_of
from services.scoring.core.entries import Entry as StoredEntry
from services.scoring.core.evaluate import evaluate
from services.scoring.core.evaluation import Evaluation
from services.scoring.core.fold import fold, new_state
from services.scoring.core.lead import LeadState, LiveModel, Models, advance, is_current, refold
from services.scoring.core.loader import model_from
from services.scoring.core.state import Recycling, decode, encode
from shared.activity import Activity
from tests.oracle import scoring as oracle
from tests.unit.scoring.core.choices import Choices
from tests.unit.scoring.core.strategies import START, to_activity, to_entries


def says_what_the_oracle_says(got: Evaluation, expected: oracle.Answer) -> None:
    """Every number, band, reason and count; and the reasons add up."""
    reasons = [(rule, int(points * 100), count) for rule, points, count in expected.reasons]
    assert [(one.rule, one.points, one.entries) for one in got.reasons] == reasons
    assert [got.score, got.engagement, got.fit, got.manual] == [
        None if value is None else value * 100
        for value in (expected.score, expected.engagement, expected.fit, expected.manual)
    ]
    bands = (expected.grade, expected.level, expected.stage, expected.coverage)
    assert (got.grade, got.level, got.stage, got.coverage) == bands
    adds_up(got)


def adds_up(evaluation: Evaluation) -> None:
    """Reasons sum to the score, and none is zero."""
    if evaluation.score is not None:
        assert sum(reason.points for reason in evaluation.reasons) == evaluation.score
        assert all(reason.points and reason.entries > 0 for reason in evaluation.reasons)


def agrees(
    tree: dict[str, Any],
    acts: list[oracle.Act],
    at: datetime,
    entries: Sequence[oracle.Entry] = (),
    given: Mapping[str, Any] | None = None,
) -> None:
    """The engine says what the oracle says of the whole set at once."""
    model, stored = compile_model(model_from(tree)), to_entries(entries)
    got = fold_all(
        model,
        [to_activity(act) for act in acts],
        at,
        attributes=given,
        manual=manual_of(stored),
        recyclings=recyclings_of(stored, model.model.recycle),
    )
    says_what_the_oracle_says(got, oracle.score(tree, acts, at, given, entries))


def in_batches(
    model: CompiledModel, ordered: list[Activity], cuts: list[int], at: datetime, recyclings: list[Recycling]
) -> Evaluation:
    """Fold in batches, the state going through JSON between them; from scratch where the engine asks for it."""
    state, start = new_state(model, recyclings=recyclings), 0
    for cut in [*sorted(cuts), len(ordered)]:
        fold(model, state, ordered[start:cut])
        if state.needs_refold:
            state = fold(model, new_state(model, recyclings=recyclings), ordered[:cut])
        assert not state.needs_refold
        evaluate(model, state, at)
        state, start = decode(orjson.loads(orjson.dumps(encode(state)))), max(cut, start)
    return evaluate(model, state, at)


@dataclass
class Life:
    """One lead as the consumer keeps it: its stored activities and entries, and the packed state of its fold."""

    models: Models
    history: list[Activity] = field(default_factory=list)
    entries: list[StoredEntry] = field(default_factory=list)
    packed: bytes = b""

    def receive(self, batch: Sequence[Activity], now: datetime) -> None:
        """New activities, in whatever order; those that are known change nothing."""
        known = {(one.source, one.id) for one in self.history}
        fresh = {(one.source, one.id): one for one in reversed(batch) if (one.source, one.id) not in known}
        new = sorted(fresh.values(), key=lambda one: one.order)
        if not new:
            return
        state = LeadState.unpack(self.packed) if self.packed else None
        if state is None or not advance(self.models, state, new, now):
            state = self._folded([*self.history, *new], now)
        self.history += new
        self.packed = state.pack()

    def enter(self, entry: StoredEntry, now: datetime) -> None:
        """Points by hand, or a return by sales."""
        self.entries.append(entry)
        if not self.packed:
            return
        state = LeadState.unpack(self.packed)
        if is_current(self.models, state) and all(one.kind == POINTS for one in self.entries):
            state.manual = manual_of(self.entries)
        else:
            state = self._folded(self.history, now)
        self.packed = state.pack()

    def at(self, now: datetime) -> Evaluation:
        """The lead as it is read; what was dated ahead is folded once its time has come, as the timer does."""
        state = LeadState.unpack(self.packed)
        if state.ahead_at is not None and state.ahead_at <= now:
            state = self._folded(self.history, now)
        assert state.instant(now) == now
        return state.evaluation(self.models.primary, now)

    def _folded(self, activities: Sequence[Activity], now: datetime) -> LeadState:
        return refold(self.models, activities, (), now, self.entries)


def holds_for_any_path(
    tree: dict[str, Any],
    acts: list[oracle.Act],
    entries: list[oracle.Entry],
    readings: list[datetime],
    choices: Choices,
) -> None:
    """However activities and entries arrive, and wherever batches are cut, every reading is the oracle's."""
    life = Life(Models((LiveModel("random", 1, compile_model(model_from(tree))),)))
    arrival: list[oracle.Act | oracle.Entry] = choices.order([*acts, *acts[:3], *entries])
    if choices.number(0, 1):
        # As it mostly is: one after the other, so that the state goes on instead of being folded anew.
        arrival.sort(key=lambda one: (one.at, getattr(one, "id", ""), getattr(one, "source", "")))
    readings = sorted(readings)
    cuts = sorted(choices.number(0, len(arrival)) for _ in readings[1:])
    stored = dict(zip(map(id, entries), to_entries(entries), strict=True))
    start = 0
    for cut, now in zip([*cuts, len(arrival)], readings, strict=True):
        batch = [to_activity(one) for one in arrival[start:cut] if isinstance(one, oracle.Act)]
        said = [one for one in arrival[start:cut] if not isinstance(one, oracle.Act)]
        for entry in said[: len(said) // 2]:
            life.enter(stored[id(entry)], now)
        life.receive(batch, now)
        for entry in said[len(said) // 2 :]:
            life.enter(stored[id(entry)], now)
        start = max(cut, start)
        if life.packed:
            came = arrival[:start]
            expected = oracle.score(
                tree,
                [one for one in came if isinstance(one, oracle.Act)],
                now,
                entries=[one for one in came if not isinstance(one, oracle.Act)],
            )
            says_what_the_oracle_says(life.at(now), expected)


def permuted_and_cut(tree: dict[str, Any], acts: list[oracle.Act], at: datetime, choices: Choices) -> None:
    """Permutation, duplicates and splits change nothing, without an oracle to say so."""
    model = compile_model(model_from(tree | {"consent": {}}))
    activities = [to_activity(act) for act in acts]
    days = [choices.number(0, 60) for _ in range(choices.number(0, 2))]
    recyclings = [Recycling(START + timedelta(days=day), Fraction(choices.number(0, 1), 2)) for day in days]

    def folded(some: list[Activity]) -> Evaluation:
        return fold_all(model, some, at, recyclings=recyclings, verdict_of=lambda _: None)

    expected = folded(activities)
    assert folded(choices.order(activities + activities[:3])) == expected
    ordered = until(activities, at)
    cuts = [choices.number(0, len(ordered)) for _ in range(choices.number(0, 3))]
    assert in_batches(model, ordered, cuts, at, recyclings) == expected
