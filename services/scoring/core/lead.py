"""One lead's stored state: its profile and, for each model, its fold."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import orjson

from services.scoring.core.compile import CompiledModel
from services.scoring.core.fold import fold, new_state
from services.scoring.core.profile import Profile
from services.scoring.core.state import State, decode, encode
from shared.activity import Activity
from shared.clock import from_micros, to_micros
from shared.identity import Identifier


@dataclass(frozen=True, slots=True)
class LiveModel:
    """A version of a scoring model, ready to fold with. A shadow scores beside the published version of its name."""

    name: str
    version: int
    compiled: CompiledModel
    shadow: bool = False

    @property
    def key(self) -> str:
        """Under which a lead keeps its fold; names hold no @."""
        return f"{self.name}@{self.version}" if self.shadow else self.name


@dataclass(frozen=True, slots=True)
class Models:
    """All models that score, the primary first; the shadows beside them; and versions that were in force before, by
    which some leads may still be folded.
    """

    live: tuple[LiveModel, ...]
    shadows: tuple[LiveModel, ...] = ()
    earlier: Mapping[tuple[str, int], LiveModel] = field(default_factory=dict)

    @property
    def primary(self) -> LiveModel:
        """The model of `scoring.yaml`."""
        return self.live[0]

    @property
    def all(self) -> tuple[LiveModel, ...]:
        """Every model that a lead is folded by."""
        return (*self.live, *self.shadows)

    def serving(self, state: "LeadState") -> "Models":
        """The versions that score this lead now: those it was folded by, until it is switched to these.

        A lead whose versions are no longer known is scored by these at once.
        """
        if is_current(self, state):
            return self
        folded = {key: version for key, (version, _) in state.folds.items()}
        serving = [self._version(model, folded.get(model.name)) for model in self.live]
        live = tuple(model for model in serving if model is not None)
        if not live or live[0].name != self.primary.name:
            return self
        return Models(live, tuple(model for model in self.shadows if model.key in folded), self.earlier)

    def _version(self, model: LiveModel, version: int | None) -> LiveModel | None:
        if version is None or version == model.version:
            return None if version is None else model
        return self.earlier.get((model.name, version))


@dataclass(slots=True)
class LeadState:
    """What is folded of one lead. `ahead_at` is the first activity that lies in the future and is not folded yet."""

    profile: Profile = field(default_factory=Profile)
    folds: dict[str, tuple[int, State]] = field(default_factory=dict)
    ahead_at: datetime | None = None

    def pack(self) -> bytes:
        """As stored; `unpack` reads it back."""
        folds = {name: [version, encode(state)] for name, (version, state) in self.folds.items()}
        ahead = to_micros(self.ahead_at) if self.ahead_at else None
        return orjson.dumps([self.profile.encode(), folds, ahead])

    @classmethod
    def unpack(cls, packed: bytes) -> "LeadState":
        """The state that `pack` gave."""
        profile, folds, ahead = orjson.loads(packed)
        return cls(
            Profile.decode(profile),
            {name: (version, decode(state)) for name, (version, state) in folds.items()},
            None if ahead is None else from_micros(ahead),
        )

    def instant(self, now: datetime) -> datetime:
        """When to evaluate: now, but never before what is folded, should the clock have gone back."""
        return max(now, self.profile.last[0]) if self.profile.last else now


def refold(
    models: Models, activities: Iterable[Activity], identifiers: Iterable[Identifier], now: datetime
) -> LeadState:
    """Fold a lead from nothing. `activities` come in any order, each once; those after `now` are left for later."""
    state = LeadState()
    state.profile.own(identifiers)
    ordered = sorted(activities, key=lambda activity: activity.order)
    due = _due(state, ordered, now)
    state.profile.add(due)
    for model in models.all:
        state.folds[model.key] = (model.version, fold(model.compiled, new_state(model.compiled), due))
    return state


def advance(models: Models, state: LeadState, activities: Sequence[Activity], now: datetime) -> bool:
    """Fold new `activities`, in fold order, into `state` in place.

    Returns False where that cannot be done and everything must be folded again from the stored activities: one of them
    is late, an earlier one has come due meanwhile, an attribute changed that rules had asked about, or a model did.
    After False the state must not be used.
    """
    if state.ahead_at is not None and state.ahead_at <= now:
        return False
    if not is_current(models, state):
        return False
    if state.profile.last is not None and activities and activities[0].order < state.profile.last:
        return False
    due = _due(state, activities, now)
    state.profile.add(due)
    for model in models.all:
        _, fold_state = state.folds[model.key]
        if fold(model.compiled, fold_state, due).needs_refold:
            return False
    return True


def is_current(models: Models, state: LeadState) -> bool:
    """Whether the state was folded by exactly these versions of these models and shadows."""
    return {name: version for name, (version, _) in state.folds.items()} == {
        model.key: model.version for model in models.all
    }


def _due(state: LeadState, ordered: Sequence[Activity], now: datetime) -> Sequence[Activity]:
    """The activities up to `now`; the first of the others is noted."""
    instant = state.instant(now)
    if not ordered or ordered[-1].occurred_at <= instant:
        return ordered
    ahead = next(position for position, activity in enumerate(ordered) if activity.occurred_at > instant)
    first = ordered[ahead].occurred_at
    state.ahead_at = min(first, state.ahead_at) if state.ahead_at else first
    return ordered[:ahead]
