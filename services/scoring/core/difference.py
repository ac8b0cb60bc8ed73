"""Why a lead has another score at one instant than at an earlier one: line by line, adding up to the difference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.scoring.core.decay import Exact
from services.scoring.core.evaluation import Evaluation, Reason
from services.scoring.core.explain import Explanation, RuleAccount

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class ReasonChange:
    """One reason at two instants, in cents."""

    rule: str
    before: int
    after: int

    @property
    def change(self) -> int:
        """What it adds to the difference of the scores."""
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class RuleChange:
    """What moved the entries of a rule, in exact cents: those new since, those no longer paid (a late activity or a
    verdict can do that), and what time took from the others.
    """

    rule: str
    earned: Exact
    lost: Exact
    faded: Exact


@dataclass(frozen=True, slots=True)
class Difference:
    """From one explanation to a later one. `change` is null where the lead is excluded at either."""

    before: Explanation
    after: Explanation
    change: int | None
    reasons: tuple[ReasonChange, ...]
    rules: tuple[RuleChange, ...]


def difference(before: Explanation, after: Explanation) -> Difference:
    """The reasons' changes add up to `change`, in cents."""
    first, second = before.evaluation.score, after.evaluation.score
    return Difference(
        before=before,
        after=after,
        change=None if first is None or second is None else second - first,
        reasons=changed_reasons(before.evaluation, after.evaluation),
        rules=tuple(_changed_rules(before.rules, after.rules)),
    )


def changed_reasons(before: Evaluation, after: Evaluation) -> tuple[ReasonChange, ...]:
    """Reasons that differ; those of the later evaluation first, in its order."""
    earlier, later = _by_rule(before.reasons), _by_rule(after.reasons)
    lines = [ReasonChange(rule, earlier.get(rule, 0), later.get(rule, 0)) for rule in {**later, **earlier}]
    return tuple(line for line in lines if line.change)


def _by_rule(reasons: Sequence[Reason]) -> Mapping[str, int]:
    return {reason.rule: reason.points for reason in reasons}


def _changed_rules(before: Sequence[RuleAccount], after: Sequence[RuleAccount]) -> list[RuleChange]:
    earlier, later = ({one.rule.id: _entries(one) for one in accounts} for accounts in (before, after))
    changes = []
    for rule in {**later, **earlier}:
        then, now = earlier.get(rule, {}), later.get(rule, {})
        change = RuleChange(
            rule,
            earned=sum([worth for key, worth in now.items() if key not in then]),
            lost=-sum([worth for key, worth in then.items() if key not in now]),
            faded=sum([now[key] - worth for key, worth in then.items() if key in now]),
        )
        if change.earned or change.lost or change.faded:
            changes.append(change)
    return changes


def _entries(account: RuleAccount) -> dict[Key, Exact]:
    return {(one.activity.source, one.activity.id): one.now for one in account.entries}
