"""One lead's stored state: its profile and, for each model, its fold."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

import orjson

from services.scoring.core.compile import CompiledModel
from services.scoring.core.compression import compress, decompress
from services.scoring.core.consent import PROFILING, Profiling, history_of
from services.scoring.core.entries import Entry, manual_of, recyclings_of
from services.scoring.core.evaluate import evaluate
from services.scoring.core.evaluation import Evaluation, ManualPoints
from services.scoring.core.fold import fold, in_order, new_state
from services.scoring.core.forecast import Fall, forecast
from services.scoring.core.openings import Openings, openings_of
from services.scoring.core.profile import Profile
from services.scoring.core.resolution import Order
from services.scoring.core.state import State, decode, encode
from services.scoring.core.verdicts import Hit, Judgement, judge
from shared.activity import Activity
from shared.clock import from_micros, to_micros
from shared.identity import Identifier

# As `Activity.order`, without a call for each.
CLOCKS_APART = timedelta(minutes=1)
"""How far ahead of ours the clock may be by which a lead was published last: that of another host, or ours read before
a wait. What lies further ahead was published by a clock that was wrong, and is put right.
"""
_ORDER = attrgetter("occurred_at", "id", "source")


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


def is_shadow(key: str) -> bool:
    """Whether a fold is kept under the key of a shadow."""
    return "@" in key


@dataclass(frozen=True, slots=True)
class Models:
    """All models that score, the primary first; the shadows beside them; and versions that were in force before, by
    which some leads may still be folded.
    """

    live: tuple[LiveModel, ...]
    shadows: tuple[LiveModel, ...] = ()
    earlier: Mapping[tuple[str, int], LiveModel] = field(default_factory=dict)
    all: tuple[LiveModel, ...] = field(init=False, repr=False, compare=False)
    """Every model that a lead is folded by."""
    versions: Mapping[str, int] = field(init=False, repr=False, compare=False)
    """Of all models, by the keys of their folds."""
    live_versions: Mapping[str, int] = field(init=False, repr=False, compare=False)
    """As `versions`, without the shadows."""
    need_consent: bool = field(init=False, repr=False, compare=False)
    """Whether any of them counts only what a lead has agreed to."""
    staged: bool = field(init=False, repr=False, compare=False)
    """Whether any of those that score has stages."""
    signalling: bool = field(init=False, repr=False, compare=False)
    """Whether any of those that score has signals."""

    def __post_init__(self) -> None:
        models = (*self.live, *self.shadows)
        # Asked for with every lead of every batch.
        object.__setattr__(self, "all", models)
        object.__setattr__(self, "versions", {model.key: model.version for model in models})
        object.__setattr__(self, "live_versions", {model.key: model.version for model in self.live})
        object.__setattr__(self, "need_consent", any(model.compiled.model.needs_consent for model in models))
        object.__setattr__(self, "staged", any(model.compiled.stages for model in self.live))
        object.__setattr__(self, "signalling", any(model.compiled.model.signals for model in self.live))

    @property
    def primary(self) -> LiveModel:
        """The model of `scoring.yaml`."""
        return self.live[0]

    def serve(self, folded_by: Mapping[str, int]) -> bool:
        """Whether a lead that was folded by these versions, by the keys of its folds, is scored by them as it is."""
        return {key: version for key, version in folded_by.items() if not is_shadow(key)} == self.live_versions

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
    """What is folded of one lead. `ahead_at` is the first activity that lies in the future and is not folded yet;
    `manual` are all points given by hand, expired or not.

    `seen_at` is the instant of the last published evaluation, None where it is not known, and `due_at` when the timer
    looks at the lead again, None for never; `stages` are the last published ones by model, None in a state folded anew.
    `agreed` are the lead's words about profiling with their instants, kept only where a model asks for consent.
    """

    profile: Profile = field(default_factory=Profile)
    folds: dict[str, tuple[int, State]] = field(default_factory=dict)
    ahead_at: datetime | None = None
    manual: tuple[ManualPoints, ...] = ()
    seen_at: datetime | None = None
    due_at: datetime | None = None
    stages: dict[str, str | None] | None = None
    judgement: Judgement = field(default_factory=Judgement)
    agreed: list[tuple[datetime, bool]] = field(default_factory=list)

    def pack(self) -> bytes:
        """As stored; `unpack` reads it back. What most leads do not have takes no room.

        The first line holds the state, each further one a recent activity, which nobody has to parse to pass it on.
        """
        folds = {name: [version, encode(state)] for name, (version, state) in self.folds.items()}
        ahead = to_micros(self.ahead_at) if self.ahead_at else None
        rest: dict[str, Any] = {}
        if self.manual:
            rest["manual"] = [_pack_points(one) for one in self.manual]
        if self.seen_at:
            rest["due"] = [to_micros(self.due_at) if self.due_at else None, to_micros(self.seen_at)]
        if self.stages:
            rest["stages"] = self.stages
        if self.judgement.trail:
            rest["trail"] = [hit.encode() for hit in self.judgement.trail]
        if self.agreed:
            rest["agreed"] = [[to_micros(at), word] for at, word in self.agreed]
        first, latest = orjson.dumps([self.profile.encode(), folds, ahead, rest]), self.profile.latest
        return compress(b"%b\n%b" % (first, latest) if latest else first)

    @classmethod
    def unpack(cls, packed: bytes, *, folded: bool = True) -> "LeadState":
        """The state that `pack` gave; without its folds for those who are going to fold anew."""
        first, _, latest = decompress(packed).partition(b"\n")
        profile, folds, ahead, *more = orjson.loads(first)
        rest: dict[str, Any] = more[0] if more else {}
        due_at, seen_at = rest.get("due", (None, None))
        return cls(
            Profile.decode(profile, latest),
            {name: (version, decode(state)) for name, (version, state) in folds.items()} if folded else {},
            None if ahead is None else from_micros(ahead),
            tuple(_unpack_points(one) for one in rest.get("manual", ())),
            None if seen_at is None else from_micros(seen_at),
            None if due_at is None else from_micros(due_at),
            rest.get("stages", {}),
            Judgement([Hit.decode(one) for one in rest.get("trail", ())]),
            [(from_micros(at), word) for at, word in rest.get("agreed", ())],
        )

    @staticmethod
    def glance(packed: bytes) -> tuple[int, dict[str, int]]:
        """Of a packed state the number of activities, and the versions it was folded by: a third of unpacking it."""
        profile, folds, *_ = orjson.loads(decompress(packed).partition(b"\n")[0])
        return profile[6], {key: version for key, (version, _) in folds.items()}

    def evaluation(self, model: LiveModel, at: datetime) -> Evaluation:
        """The lead under one of its models at `at`, which is not before what is folded."""
        return evaluate(model.compiled, self.folds[model.key][1], at, self.manual)

    def forecasts(self, models: Models, at: datetime, now: Mapping[str, Evaluation]) -> dict[str, tuple[Fall, ...]]:
        """When the lead will fall below watched totals, for each model that wants it told; `now` is how it stands."""
        return {
            model.name: forecast(model.compiled, self.folds[model.key][1], at, now[model.name], self.manual)
            for model in models.live
            if model.compiled.model.forecast
        }

    def instant(self, now: datetime) -> datetime:
        """When to evaluate: now, but never before what is folded, should the clock have gone back."""
        return max(now, self.profile.last[0]) if self.profile.last else now

    def next_instant(self, now: datetime) -> datetime:
        """When to evaluate what is published next: as `instant`, but not before what was published last either."""
        at = self.instant(now)
        return self.seen_at if self.seen_at is not None and at < self.seen_at <= at + CLOCKS_APART else at


def refold(
    models: Models,
    activities: Iterable[Activity],
    identifiers: Iterable[Identifier],
    now: datetime,
    entries: Collection[Entry] = (),
    known: Profile | None = None,
) -> LeadState:
    """Fold a lead from nothing. `activities` come in any order, each once; those after `now` are left for later.

    `entries` are all that are stored of the lead. `known` is its stored profile, which is not folded again where it
    holds as many activities up to the same one: it follows from them alone.
    """
    state = LeadState(manual=manual_of(entries) if entries else ())
    ordered = sorted(activities, key=_ORDER)
    due = _due(state, ordered, now)
    opened = openings_of(entries) if entries else None
    told = due if opened is None else in_order(opened.facts, due)
    count, last = (len(due), due[-1].order if due else None) if opened is None else _extent(opened, due)
    if known is not None and last is not None and (known.count, known.last) == (count, last):
        state.profile = known
    elif opened is None:
        state.profile.own(identifiers)
        state.profile.add(due)
    else:
        state.profile.own(identifiers)
        _open(state.profile, opened, due, told)
    state.judgement = judge(due, () if opened is None else opened.trail)
    verdict_of = state.judgement.verdict_of if state.judgement.unpaid else None
    if models.need_consent:
        state.agreed = [(word.at, word.granted) for word in history_of(told) if word.purpose == PROFILING]
    for model in models.all:
        recyclings = recyclings_of(entries, model.compiled.model.recycle) if entries else ()
        empty = new_state(model.compiled, recyclings=recyclings)
        counting = counted(model.compiled, state.agreed, due)
        earlier = None if opened is None else opened.under(model.compiled, state.agreed)
        folded = fold(model.compiled, empty, counting, verdict_of, earlier=earlier)
        state.folds[model.key] = (model.version, folded)
    return state


def _extent(opened: Openings, due: Sequence[Activity]) -> tuple[int, Order]:
    """How many activities there were, and the place of the last one."""
    return opened.removed + len(due), max(opened.last, due[-1].order) if due else opened.last


def _open(profile: Profile, opened: Openings, due: Sequence[Activity], told: Sequence[Activity]) -> None:
    """The profile of a lead of which activities were removed: these are counted, and no longer shown."""
    profile.add(due)
    profile.count, profile.last = _extent(opened, due)
    profile.first = min(opened.first, due[0].order) if due else opened.first
    profile.email = profile.phone = None
    profile.attributes, profile.consent = {}, {}
    profile.learn(told)


def advance(models: Models, state: LeadState, activities: Sequence[Activity], now: datetime) -> bool:
    """Fold new `activities`, in fold order, into `state` in place.

    Returns False where that cannot be done and everything must be folded again from the stored activities: one of them
    is late, an earlier one has come due meanwhile, an attribute changed that rules had asked about, a model did, or a
    hit paid before turns out to be a machine's (`judgement.taken_back`).
    After False the state must not be used.
    """
    if not _goes_on(models, state, activities, now):
        return False
    due = _due(state, activities, now)
    if models.need_consent and not _agree(state, due):
        return False
    state.profile.add(due)
    state.judgement.add(due)
    if state.judgement.taken_back:
        return False
    verdict_of = state.judgement.verdict_of if state.judgement.unpaid else None
    for model in models.all:
        _, fold_state = state.folds[model.key]
        if fold(model.compiled, fold_state, counted(model.compiled, state.agreed, due), verdict_of).needs_refold:
            return False
    return True


def _goes_on(models: Models, state: LeadState, activities: Sequence[Activity], now: datetime) -> bool:
    """Whether nothing has come due meanwhile, the models are those that folded it, and nothing is late."""
    if (state.ahead_at is not None and state.ahead_at <= now) or not is_current(models, state):
        return False
    return state.profile.last is None or not activities or activities[0].order >= state.profile.last


def counted(
    model: CompiledModel, agreed: Sequence[tuple[datetime, bool]], activities: Sequence[Activity]
) -> Sequence[Activity]:
    """The activities that count under a model, by the lead's words about profiling, the earliest first."""
    if not model.model.needs_consent:
        return activities
    profiling = Profiling(agreed)
    return [one for one in activities if profiling.allows(one.occurred_at)]


def _agree(state: LeadState, due: Sequence[Activity]) -> bool:
    """Take note of words about profiling; False where one changes what is folded already."""
    words = [word for word in history_of(due) if word.purpose == PROFILING]
    last = state.profile.last
    if words and last is not None and words[0].at <= last[0]:
        return False
    state.agreed += [(word.at, word.granted) for word in words]
    # A word may have been said about an instant yet to come.
    return state.agreed == sorted(state.agreed, key=lambda word: word[0])


def is_current(models: Models, state: LeadState) -> bool:
    """Whether the state was folded by exactly these versions of these models and shadows."""
    return {name: version for name, (version, _) in state.folds.items()} == models.versions


def _due(state: LeadState, ordered: Sequence[Activity], now: datetime) -> Sequence[Activity]:
    """The activities up to `now`; the first of the others is noted."""
    instant = state.instant(now)
    if not ordered or ordered[-1].occurred_at <= instant:
        return ordered
    ahead = next(position for position, activity in enumerate(ordered) if activity.occurred_at > instant)
    first = ordered[ahead].occurred_at
    state.ahead_at = min(first, state.ahead_at) if state.ahead_at else first
    return ordered[:ahead]


def _pack_points(one: ManualPoints) -> list[Any]:
    expires = to_micros(one.expires_at) if one.expires_at else None
    return [one.points, to_micros(one.given_at), one.author, one.reason, expires]


def _unpack_points(raw: Sequence[Any]) -> ManualPoints:
    points, given, author, reason, expires = raw
    return ManualPoints(points, from_micros(given), author, reason, None if expires is None else from_micros(expires))
