"""What a valid model probably does not mean: said before it is published, never refused."""

from collections.abc import Iterator
from datetime import datetime
from itertools import product

from services.scoring.core.compile import CompiledModel, compile_model
from services.scoring.core.evaluate import StateFacts
from services.scoring.core.fold import new_state
from services.scoring.core.model import Model
from services.scoring.core.rules import PointsRule
from shared.activity import KNOWN_TYPES
from shared.clock import EPOCH, to_micros
from shared.conditions import Fault, FieldCondition

_SCORES = (-1_000_000, 0, 1_000, 1_000_000)
_DOMAINS = (None, "example.com", "example.co.jp")


def doubts(model: Model, at: datetime = EPOCH) -> list[Fault]:
    """Each with the path it is about and what was probably meant; none for a model that makes sense."""
    return list(_doubts(model, at))


def _doubts(model: Model, at: datetime) -> Iterator[Fault]:
    if not model.engagement.rules and not model.fit.rules:
        yield Fault(("engagement", "rules"), "there is no rule: every lead has 0 points")
    if excludes_everyone(compile_model(model), at):
        yield Fault(("exclude",), "every lead is excluded, whatever it does: nobody gets a score")
    for index, rule in enumerate(model.engagement.rules):
        path = ("engagement", "rules", index)
        for name in rule.activity or ():
            if name not in KNOWN_TYPES:
                yield Fault(
                    (*path, "activity"),
                    f"{name} is no known activity type; fine if you send it yourself, else a mistake of spelling",
                )
        if isinstance(rule, PointsRule) and rule.points == 0:
            yield Fault((*path, "points"), "the rule gives 0 points")
    used = {rule.group for rule in model.engagement.rules}
    for group in model.engagement.groups:
        if group not in used:
            yield Fault(("engagement", "groups", group), "no rule belongs to this group")
    if not model.watch and _fades(model):
        yield Fault(
            ("watch",), "points fade, but no total is watched: a lead that cools is told late; name your thresholds"
        )


def _fades(model: Model) -> bool:
    rules = model.engagement.rules
    return model.engagement.inactivity is not None or any(
        not isinstance(rule, PointsRule) or rule.decay is not None for rule in rules
    )


def excludes_everyone(model: CompiledModel, at: datetime = EPOCH) -> bool:
    """Whether leads of every kind that we can think of are excluded, whatever they scored. A guess, but one that is
    wrong only for models which exclude all but leads with particular attributes.
    """
    if model.excluded is None:
        return False
    attributes = [{}, _named(model.model)]
    for known, domain, points in product(attributes, _DOMAINS, _SCORES):
        state = new_state(model, attributes=known)
        state.email_domain = domain
        cents = points * 100
        if not model.excluded(StateFacts(state, to_micros(at), cents, cents, cents)):
            return False
    return True


def _named(model: Model) -> dict[str, str]:
    """The attributes that exclusions ask about, all filled with a text that no rule names."""
    fields = [one.field for one in model.exclude if isinstance(one, FieldCondition)]
    names = [field.removeprefix("attributes.") for field in fields if field.startswith("attributes.")]
    return dict.fromkeys(names, "￿")
