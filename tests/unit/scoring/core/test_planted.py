"""The properties are checked: mistakes that such engines make are put in, one at a time, and each must be found."""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from math import floor
from random import Random
from typing import Any

import pytest

from services.scoring.core import (
    calendar,
    consent,
    decay,
    earned,
    entries,
    evaluate,
    fold,
    lead,
    linking,
    links,
    repeat,
    resolution,
    state,
    verdicts,
)
from services.scoring.core import compile as compiling
from tests.unit.scoring.core import memory
from tests.unit.scoring.core.bulk import Pools, any_order, any_path, chosen_seed, everybody, oracle_agrees

pytestmark = [pytest.mark.long, pytest.mark.timeout(0)]
AT_MOST = 6_000
Replace = Callable[[Any, str, Any], None]
"""Puts something wrong in the place of something right: owner, name, value."""


def _window_too_long(put: Replace) -> None:
    put(
        decay.WindowDecay,
        "value",
        lambda self, points, times, at: (
            points * (len(times) - bisect_left(times, at - self.span)),
            len(times) - bisect_left(times, at - self.span),
        ),
    )


def _rounded_entries(put: Replace) -> None:
    right = decay.HalfLifeDecay.value

    def value(self: Any, points: int, times: Any, at: int) -> Any:
        worths = [round(right(self, points, [time], at)[0]) for time in times]
        return sum(worths), len([one for one in worths if one])

    put(decay.HalfLifeDecay, "value", value)


def _repeat_too_long(put: Replace) -> None:
    right = repeat.compile_repeat

    def compile_repeat(schema: Any) -> Any:
        found = right(schema)
        return replace(found, span=found.span + 1) if found.limit else found

    put(compiling, "compile_repeat", compile_repeat)


def _clamp_before_inactivity(put: Replace) -> None:
    right = earned.combine

    def combine(model: Any, points: Any, idle: int) -> Any:
        sums = right(model, points, 0)
        if not idle or model.inactivity is None:
            return sums
        after = max(min(sums.total, model.inactivity.floor), sums.total - idle * abs(model.inactivity.points))
        return earned.Sums(after, sums.groups, after - sums.total, sums.clamp)

    put(earned, "combine", combine)
    put(evaluate, "combine", combine)


def _half_up(put: Replace) -> None:
    def half_up(value: Any) -> int:
        return floor(Fraction(value) + Fraction(1, 2))

    put(earned, "round", half_up)


def _last_domain(put: Replace) -> None:
    def take(model: Any, state: Any, activity: Any) -> None:
        state.email_domain = activity.email.rpartition("@")[2]
        state.fit = None

    put(fold, "_take_domain", take)


def _attribute_forgotten(put: Replace) -> None:
    right = fold._merge

    def merge(model: Any, state: Any, attributes: Any) -> None:
        right(model, state, attributes)
        state.needs_refold = False

    put(fold, "_merge", merge)


def _any_silence(put: Replace) -> None:
    put(compiling, "NEVER_ACTIVE", frozenset())


def _utc_days(put: Replace) -> None:
    put(calendar.Calendar, "_local_day", lambda _self, micros: micros // 86_400_000_000 + 719_163)


def _months_of_thirty_days(put: Replace) -> None:
    put(calendar, "after_months", lambda start, months, _zone: start + months * 30 * 86_400_000_000)


def _expiry_too_late(put: Replace) -> None:
    put(
        evaluate,
        "manual_in_force",
        lambda manual, at: [
            one for one in manual if one.given_at <= at and (one.expires_at is None or at <= one.expires_at)
        ],
    )


def _models_policy_ignored(put: Replace) -> None:
    right = entries.factor_of
    put(entries, "factor_of", lambda policy, _default: right(policy, Fraction(1)))


def _recycled_too_much(put: Replace) -> None:
    right = earned.weighted_spans
    put(
        earned,
        "weighted_spans",
        lambda state, at: [(start + bool(start), end + 1, factor) for start, end, factor in right(state, at)],
    )


def _never_taken_back(put: Replace) -> None:
    right = verdicts.Judgement.add

    def add(self: Any, activities: Any, **how: Any) -> None:
        right(self, activities, **how)
        self.taken_back = False

    put(verdicts.Judgement, "add", add)


def _pages_not_looked_at(put: Replace) -> None:
    put(verdicts, "LOOKED_AT", verdicts.LOOKED_AT - {"page_viewed"})


def _never_withdrawn(put: Replace) -> None:
    put(
        consent.Profiling,
        "allows",
        lambda self, at: any(word and since <= at for since, word in self._words),
    )


def _late_word_ignored(put: Replace) -> None:
    def agree(state: Any, due: Any) -> bool:
        words = [word for word in consent.history_of(due) if word.purpose == consent.PROFILING]
        state.agreed = sorted([*state.agreed, *((word.at, word.granted) for word in words)])
        return True

    put(lead, "_agree", agree)


def _ahead_at_once(put: Replace) -> None:
    put(lead, "_due", lambda _state, ordered, _now: ordered)


def _ahead_forgotten(put: Replace) -> None:
    right = lead.LeadState.pack

    def pack(self: Any) -> bytes:
        self.ahead_at = None
        return right(self)

    put(lead.LeadState, "pack", pack)


def _times_forgotten(put: Replace) -> None:
    put(decay.HalfLifeDecay, "lifetime", lambda self, _points: 2 * self.span)


def _recent_forgotten(put: Replace) -> None:
    right = state.Entries.encode

    def encode(self: Any) -> Any:
        count, day, today, yesterday, times, _, keys = right(self)
        return [count, day, today, yesterday, times, [], keys]

    put(state.Entries, "encode", encode)


def _anchors_stay(put: Replace) -> None:
    def place(self: Any, cluster: Any, resolved: Any) -> None:
        for lead_id in sorted(cluster):
            for entry in self.entries.pop(lead_id, []):
                self.entries[resolved.merged.get(lead_id, lead_id)].append(entry)

    put(memory.Memory, "_place_entries", place)


def _parted_comes_back(put: Replace) -> None:
    put(resolution._Forest, "_apart", lambda *_: False)


def _refused_for_ever(put: Replace) -> None:
    put(memory.Memory, "_naming", lambda *_: set())


def _joined_for_ever(put: Replace) -> None:
    right = links.links_among

    def links_among(said: Any, names: Any, id_for: Any) -> Any:
        joins = [one for one in said if one.kind == links.JOINED]
        return links.Links(right(joins, names, id_for).joined, right(said, names, id_for).parted)

    put(memory, "links_among", links_among)


def _left_behind(put: Replace) -> None:
    """A merge by hand binds the two leads by one name each, and nothing that was kept apart."""
    put(memory, "ties", lambda *_: [])


def _name_kept(put: Replace) -> None:
    """What comes late never changes which of the leads that became one was the older."""
    right = linking.place
    put(memory, "place", lambda batch, known, id_for: right(batch, replace(known, joined={}), id_for))


def _age_ignored(put: Replace) -> None:
    put(resolution, "rank", lambda **lead: not lead["identified"])


def _last_wins(put: Replace) -> None:
    """A browser that two addresses used belongs to the one it appeared with last."""

    def join(self: Any, one: Any, other: Any, order: Any) -> None:
        root, branch = self.find(one), self.find(other)
        if root in self._with_email and branch in self._with_email and other != branch and root != branch:
            self.members[branch].remove(other)
            self.members[root].append(other)
            self._root[other] = root
        else:
            right(self, one, other, order)

    right = resolution._Forest.join
    put(resolution._Forest, "join", join)


MISTAKES = {
    one.__name__.strip("_"): (one, seen_by)
    for seen_by, several in {
        oracle_agrees: (
            _window_too_long, _rounded_entries, _repeat_too_long, _clamp_before_inactivity, _half_up, _last_domain,
            _any_silence, _utc_days, _months_of_thirty_days, _expiry_too_late, _models_policy_ignored,
            _recycled_too_much, _never_withdrawn, _pages_not_looked_at, _times_forgotten,
        ),
        any_path: (_attribute_forgotten, _never_taken_back, _late_word_ignored, _ahead_at_once, _ahead_forgotten),
        any_order: (_recent_forgotten,),
        everybody: (
            _anchors_stay, _parted_comes_back, _refused_for_ever, _joined_for_ever, _left_behind, _last_wins,
            _name_kept, _age_ignored,
        ),
    }.items()
    for one in several
}  # fmt: skip


@pytest.fixture(scope="module")
def pools() -> Pools:
    return Pools(chosen_seed())


@pytest.mark.parametrize("name", sorted(MISTAKES))
def test_a_planted_mistake_is_seen(pools: Pools, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, seen_by = MISTAKES[name]
    print("seed", pools.number)
    pools.fill()
    make(lambda owner, attribute, value: monkeypatch.setattr(owner, attribute, value, raising=False))
    assert first_seen(pools, seen_by) is not None


def first_seen(pools: Pools, holds: Callable[[Pools, Random], None]) -> int | None:
    """Which example shows that it does not hold."""
    for example in range(AT_MOST):
        try:
            holds(pools, Random(f"{pools.number}:{example}"))
        except (AssertionError, ValueError, StopIteration, KeyError):
            return example
    return None
