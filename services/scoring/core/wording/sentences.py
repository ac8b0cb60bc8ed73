"""A scoring model as sentences: what it says, rule by rule, for people who do not read YAML."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, Protocol

from services.scoring.core.model import Consent, Inactivity, Model
from services.scoring.core.rules import Accounts, CellsRule, FitRule, PointsRule, Signal, Stage
from services.scoring.core.values import Clamp
from services.scoring.core.wording.english import English
from services.scoring.core.wording.japanese import Japanese
from shared.conditions import DidCondition, FieldCondition

Language = Literal["en", "ja"]


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence. `section` is where in the file, `id` the rule's or stage's, empty for what has none."""

    section: str
    id: str
    text: str

    def to_json(self) -> dict[str, Any]:
        """As printed and answered."""
        return {"section": self.section, "id": self.id, "sentence": self.text}


class Wording(Protocol):
    """One language. Each method gives a whole sentence."""

    def engagement_rule(self, rule: PointsRule | CellsRule) -> str:
        """What an engagement rule pays, how often, how it fades, and its own bounds."""
        ...

    def fit_rule(self, rule: FitRule) -> str:
        """What a fit rule pays."""
        ...

    def group(self, name: str, clamp: Clamp) -> str:
        """The bounds of a group."""
        ...

    def bounds(self, section: Literal["engagement", "fit"], clamp: Clamp) -> str:
        """The bounds of a section."""
        ...

    def inactivity(self, rule: Inactivity) -> str:
        """What silence costs."""
        ...

    def daily_max(self, count: int, zone: str) -> str:
        """How many activities of one rule are paid a day."""
        ...

    def bands(self, kind: Literal["grade", "level"], bounds: Sequence[tuple[str, int]]) -> str:
        """The lower bounds of the bands."""
        ...

    def stage(self, stage: Stage) -> str:
        """When a lead has reached a stage."""
        ...

    def signal(self, signal: Signal) -> str:
        """What is announced at once."""
        ...

    def exclude(self, condition: FieldCondition | DidCondition) -> str:
        """Who is not scored."""
        ...

    def watch(self, marks: Sequence[int]) -> str:
        """Which totals are announced when time alone passes them."""
        ...

    def recycle(self, left: Fraction) -> str:
        """What is left of earlier points after sales sent a lead back."""
        ...

    def consent(self, consent: Consent) -> str:
        """What counts only with the lead's consent, and what becomes of the rest."""
        ...

    def accounts(self, accounts: Accounts) -> str:
        """What an account goes by, and how its score comes about."""
        ...


_WORDINGS: dict[Language, Wording] = {"en": English(), "ja": Japanese()}


def explain_model(model: Model, language: Language) -> list[Sentence]:
    """Every part of the model as a sentence, in the order in which points come about."""
    return [sentence for sentence in _sentences(model, _WORDINGS[language]) if sentence.text]


def _sentences(model: Model, say: Wording) -> Iterator[Sentence]:
    engagement, fit = model.engagement, model.fit
    for rule in engagement.rules:
        yield Sentence("engagement", rule.id, say.engagement_rule(rule))
    for name, clamp in engagement.groups.items():
        yield Sentence("engagement", f"cap:{name}", say.group(name, clamp))
    if engagement.inactivity is not None:
        yield Sentence("engagement", "inactivity", say.inactivity(engagement.inactivity))
    yield Sentence("engagement", "cap:engagement", say.bounds("engagement", engagement))
    yield Sentence("engagement", "", say.daily_max(model.daily_max, model.timezone.key))
    for fit_rule in fit.rules:
        yield Sentence("fit", fit_rule.id, say.fit_rule(fit_rule))
    yield Sentence("fit", "cap:fit", say.bounds("fit", fit))
    yield Sentence("bands", "grade", say.bands("grade", list(model.grade.items())))
    yield Sentence("bands", "level", say.bands("level", list(model.level.items())))
    for stage in model.stages:
        yield Sentence("stages", stage.id, say.stage(stage))
    for signal in model.signals:
        yield Sentence("signals", signal.id, say.signal(signal))
    for condition in model.exclude:
        yield Sentence("exclude", "", say.exclude(condition))
    yield Sentence("watch", "", say.watch(model.watch) if model.watch else "")
    if "recycle" in model.model_fields_set:
        yield Sentence("recycle", "", say.recycle(model.recycle))
    if "consent" in model.model_fields_set:
        yield Sentence("consent", "", say.consent(model.consent))
    if "accounts" in model.model_fields_set:
        yield Sentence("accounts", "", say.accounts(model.accounts))
