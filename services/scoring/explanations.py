"""The body of an explanation as the API answers it: points, not cents; of entries the nearest double."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from services.scoring.core.decay import Exact
from services.scoring.core.difference import Difference, ReasonChange, changed_reasons
from services.scoring.core.evaluation import Evaluation, ManualPoints, as_points
from services.scoring.core.explain import WHOLE, CellCount, Earning, Explanation, RuleAccount
from services.scoring.core.fold import REPEAT
from services.scoring.core.knowledge import Recorded
from services.scoring.core.model import Model
from services.scoring.core.objects import object_key
from services.scoring.core.openings import REMOVED, Openings
from services.scoring.core.profile import instant_out
from services.scoring.core.rules import CellsRule, HalfLife, MaxPer, OncePer, PointsRule, Step, Window
from services.scoring.core.trace import Denial
from services.scoring.core.values import ANY_TYPE, Clamp
from services.scoring.explaining import Explained
from services.scoring.model_history import InForce
from shared.activity import Activity
from shared.clock import all_to_rfc3339, to_rfc3339
from shared.durations import Months, format_duration

Rule = PointsRule | CellsRule


def explanation_out(explained: Explained, most: int) -> dict[str, Any]:
    """The whole answer; of each rule the `most` newest entries and denials, the older ones summed up."""
    explanation, model = explained.explanation, explained.in_force.model.compiled.model
    told, removed = (explanation.rules, {}) if explained.opened is None else _apart(explanation.rules)
    rules = _Rules(model, told, explained.stored, most)
    return {
        "lead_id": explained.lead_id,
        "at": to_rfc3339(explanation.at),
        "knowledge": explained.question.knowledge,
        "model": _model(explained.in_force),
        "activities": explained.activities,
        "opening": _opening(explained.opened),
        "excluded": explanation.evaluation.excluded,
        **explanation.evaluation.to_json(),
        "rules": [{**rules.out(one), "opening": _summed(removed.get(one.rule.index, ()))} for one in told],
        "groups": [
            {"group": one.name, **_clamp(model.engagement.groups[one.name], one.raw, one.points)}
            for one in explanation.groups
        ],
        "engagement_sum": _engagement(explanation, model),
        "fit_sum": _fit(explanation, model),
        "manual_points": [_manual(one) for one in explanation.manual],
        "next_change": _next(explanation),
        "difference": _difference(explained.difference, explained.before) if explained.difference else None,
    }


def _opening(opened: Openings | None) -> dict[str, Any] | None:
    return None if opened is None else {"until": to_rfc3339(opened.until), "activities": opened.removed}


def _apart(accounts: Sequence[RuleAccount]) -> tuple[Sequence[RuleAccount], dict[int, Sequence[Earning]]]:
    """The accounts without what stands for removed activities, and that by rule."""
    removed: dict[int, Sequence[Earning]] = {
        account.rule.index: [one for one in account.entries if one.activity.type == REMOVED] for account in accounts
    }
    told: Sequence[RuleAccount] = [
        replace(
            account,
            entries=tuple([one for one in account.entries if one.activity.type != REMOVED]),
            denied=tuple([one for one in account.denied if one.activity.type != REMOVED]),
        )
        for account in accounts
    ]
    return told, removed


def _model(in_force: InForce) -> dict[str, Any]:
    model = in_force.model
    return {"name": model.name, "version": model.version, "published_at": to_rfc3339(in_force.published_at)}


def _clamp(clamp: Clamp, raw: int, points: int) -> dict[str, Any]:
    """A sum, its bounds, what they change, and what is left."""
    return {
        "raw": as_points(raw),
        "min": as_points(clamp.min),
        "max": as_points(clamp.max),
        "clamp": as_points(points - raw),
        "points": as_points(points),
    }


def _engagement(explanation: Explanation, model: Model) -> dict[str, Any]:
    sums, inactivity = explanation.sums, model.engagement.inactivity
    before = sums.total - sums.clamp - sums.inactivity
    return {
        "raw": as_points(before),
        "inactivity": None
        if inactivity is None
        else {
            "every": format_duration(inactivity.every),
            "floor": as_points(inactivity.floor),
            "last_active_at": instant_out(explanation.last_active),
            "periods": explanation.idle,
            "points": as_points(sums.inactivity),
        },
        "min": as_points(model.engagement.min),
        "max": as_points(model.engagement.max),
        "clamp": as_points(sums.clamp),
        "recycled": as_points(explanation.recycled),
        "recyclings": [{"at": to_rfc3339(one.at), "factor": float(one.factor)} for one in explanation.recyclings],
        "points": as_points(explanation.engagement),
    }


def _fit(explanation: Explanation, model: Model) -> dict[str, Any]:
    rules = [
        {
            "rule": one.rule,
            "holds": one.holds,
            "points": as_points(one.points if one.holds else 0),
            "points_if_it_holds": as_points(one.points),
        }
        for one in explanation.fit
    ]
    return {"rules": rules, **_clamp(model.fit, explanation.fit_raw, explanation.fit_points)}


def _manual(given: ManualPoints) -> dict[str, Any]:
    return {
        "points": as_points(given.points),
        "author": given.author,
        "reason": given.reason,
        "given_at": to_rfc3339(given.given_at),
        "expires_at": instant_out(given.expires_at),
    }


def _next(explanation: Explanation) -> dict[str, Any] | None:
    coming = explanation.next_change
    if coming is None:
        return None
    now, then = explanation.evaluation, coming.evaluation
    return {
        "at": to_rfc3339(coming.at),
        **_standing(then),
        "change": None if now.score is None or then.score is None else as_points(then.score - now.score),
        "reasons": _changes(changed_reasons(now, then)),
    }


def _standing(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "score": as_points(evaluation.score),
        "grade": evaluation.grade,
        "level": evaluation.level,
        "stage": evaluation.stage,
    }


def _changes(lines: Sequence[ReasonChange]) -> list[dict[str, Any]]:
    return [
        {
            "rule": one.rule,
            "before": as_points(one.before),
            "after": as_points(one.after),
            "change": as_points(one.change),
        }
        for one in lines
    ]


def _difference(found: Difference, before: InForce | None) -> dict[str, Any]:
    return {
        "from": {"at": to_rfc3339(found.before.at), **_standing(found.before.evaluation)},
        "to": {"at": to_rfc3339(found.after.at), **_standing(found.after.evaluation)},
        "model_before": _model(before) if before else None,
        "change": as_points(found.change),
        "reasons": _changes(found.reasons),
        "entries": [
            {
                "rule": one.rule,
                "earned": points_of(one.earned),
                "lost": points_of(one.lost),
                "faded": points_of(one.faded),
            }
            for one in found.rules
        ],
    }


def points_of(cents: Exact) -> float:
    """An exact amount of cents as the nearest double in points."""
    return float(cents / 100)


class _Rules:
    """Rules of one explanation; each activity is described once, however many rules it touched."""

    def __init__(self, model: Model, accounts: Sequence[RuleAccount], stored: Sequence[Recorded], most: int) -> None:
        self._rules = model.engagement.rules
        self._most = most
        # Where every rule shows all it has, it takes longer to find out what is shown than to describe the rest.
        few = len(stored) <= most
        shown = {id(one.activity): one.activity for one in stored} if few else _shown(accounts, most)
        self._described = _described(shown, stored)

    def out(self, account: RuleAccount) -> dict[str, Any]:
        written: Rule = self._rules[account.rule.index]
        entries = account.entries[-self._most :]
        return {
            "rule": account.rule.id,
            "activity": [ANY_TYPE] if written.activity is None else written.activity,
            "group": written.group,
            "repeat": repeat_out(written),
            "decay": decay_out(written),
            **_clamp(account.rule.clamp, account.raw, account.points),
            "count": account.count,
            "cells": _cells(written, account.cells),
            "entries": self._entries(entries),
            "older_entries": _summed(account.entries[: len(account.entries) - len(entries)]),
            "denied": self._denied(written, account.denied[-self._most :]),
            "older_denied": max(len(account.denied) - self._most, 0),
        }

    def _entries(self, entries: Sequence[Earning]) -> list[dict[str, Any]]:
        described = self._described
        return [
            {
                "activity": described[id(one.activity)],
                "points": points_of(one.now),
                "points_at_start": one.start / 100,
                "decay": points_of(one.now - one.start),
                "factor": 1.0 if one.factor is WHOLE else float(one.factor),
            }
            for one in entries
        ]

    def _denied(self, written: Rule, denials: Sequence[Denial]) -> list[dict[str, Any]]:
        described, words = self._described, {REPEAT: _repeat_word(written)}
        points = written.points / 100 if isinstance(written, PointsRule) else 0.0
        return [
            {
                "activity": described[id(one.activity)],
                "points": points,
                "policy": words.get(one.policy, one.policy),
                "verdict": one.verdict,
                "paid_before": described.get(id(one.paid_before)),
            }
            for one in denials
        ]


def _shown(accounts: Sequence[RuleAccount], most: int) -> dict[int, Activity]:
    """The activities that the answer speaks of, each once."""
    # By identity: the activities live as long as the explanation, and their own keys cost more than all the rest.
    shown: dict[int, Activity] = {}
    for account in accounts:
        denied = account.denied[-most:]
        shown |= {id(one.activity): one.activity for one in account.entries[-most:]}
        shown |= {id(one.activity): one.activity for one in denied}
        shown |= {id(one): one for denial in denied if (one := denial.paid_before) is not None and one.type != REMOVED}
    return shown


def _described(shown: Mapping[int, Activity], stored: Sequence[Recorded]) -> dict[int, dict[str, Any]]:
    """The same keys, and each activity as the answer describes it."""
    occurred = all_to_rfc3339([one.occurred_at for one in shown.values()])
    recorded = dict(
        zip([id(one.activity) for one in stored], all_to_rfc3339([one.recorded_at for one in stored]), strict=True)
    )
    return {
        key: {
            "id": one.id,
            "source": one.source,
            "type": one.type,
            "occurred_at": occurred_at,
            "recorded_at": recorded[key],
            "object": object_key(one.type, one.properties).replace("\x1f", " ") or None,
        }
        for (key, one), occurred_at in zip(shown.items(), occurred, strict=True)
    }


def _cells(written: Rule, counts: Sequence[CellCount]) -> list[dict[str, Any]]:
    cells = written.cells if isinstance(written, CellsRule) else ()
    return [
        {
            "at_least": cell.at_least,
            "within": format_duration(cell.within),
            "points": as_points(cell.points),
            "count": counted.count,
            "pays": counted.pays,
        }
        for cell, counted in zip(cells, counts, strict=True)
    ]


def _summed(older: Sequence[Earning]) -> dict[str, Any] | None:
    if not older:
        return None
    return {
        "count": len(older),
        "points": points_of(sum([one.now for one in older])),
        "points_at_start": sum([one.start for one in older]) / 100,
    }


def _repeat_word(written: Rule) -> str:
    """The word of the model for a repeat policy: `once`, `once_per_object`, `once_per`, `max`."""
    repeat = written.repeat if isinstance(written, PointsRule) else "every"
    if isinstance(repeat, str):
        return repeat
    return "once_per" if isinstance(repeat, OncePer) else "max"


def repeat_out(written: Rule) -> Any:
    """The repeat policy as a model file writes it; None for cells."""
    if isinstance(written, CellsRule):
        return None
    repeat = written.repeat
    if isinstance(repeat, OncePer):
        return {"once_per": format_duration(repeat.once_per)}
    if isinstance(repeat, MaxPer):
        return {"max": repeat.max, "per": format_duration(repeat.per)}
    return repeat


def decay_out(written: Rule) -> Any:
    """The decay as a model file writes it; None where there is none."""
    decay = None if isinstance(written, CellsRule) else written.decay
    if isinstance(decay, Window):
        return {"window": format_duration(decay.window)}
    if isinstance(decay, HalfLife):
        return {"half_life": format_duration(decay.half_life)}
    if isinstance(decay, Step):
        every = f"{decay.every.count}mo" if isinstance(decay.every, Months) else format_duration(decay.every)
        return {"step": f"{float(decay.step * 100):g}%", "every": every, "curve": decay.curve}
    return None
