"""A lead's published state, as handoff reads it from `lead-scores`."""

from datetime import datetime
from fractions import Fraction
from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, InstanceOf, ValidationError

from shared import codec
from shared.clock import from_rfc3339, is_reckonable, to_rfc3339
from shared.errors import InvalidMessage

SILENT_CAUSES = frozenset({"model", "repair"})


class Body(BaseModel):
    """Events may gain fields; those that are not known here are left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


def _instant(value: Any) -> Any:
    return from_rfc3339(value) if isinstance(value, str) else value


def _judgeable(at: datetime) -> datetime:
    if not is_reckonable(at):
        raise ValueError("expected an instant between 1970 and 9000")
    return at


Instant = Annotated[datetime, BeforeValidator(_instant)]
Judged = Annotated[Instant, AfterValidator(_judgeable)]
Object = InstanceOf[dict[str, Any]]
"""A JSON object that is handed on as it is. Not looked into: that would take longer than all the rest of a state."""
LeadId = Annotated[str, Field(min_length=1, max_length=200)]


class Fall(Body):
    """The score will be less than `below` from `at` on, if nothing else happens."""

    below: float
    at: Instant


class ModelState(Body):
    """A lead under one model. An excluded lead has score None, and no sums, bands or stage. `forecast` is empty where
    the model tells none, or the score falls below no watched total.
    """

    version: int = 0
    score: float | None = None
    engagement: float | None = None
    fit: float | None = None
    grade: str | None = None
    level: str | None = None
    cell: str | None = None
    stage: str | None = None
    coverage: float | None = None
    reasons: list[Object] = Field(default_factory=list)
    forecast: list[Fall] = Field(default_factory=list)

    def falls_below(self, cents: int | Fraction) -> datetime | None:
        """When the score will be below so many cents; None if never, or nobody knows."""
        return next((fall.at for fall in self.forecast if round(fall.below * 100) == cents), None)

    @property
    def cents(self) -> int | None:
        """The score in hundredths; published scores have two decimals."""
        return None if self.score is None else round(self.score * 100)


class LeadState(Body):
    """One `lead.score-changed.v1`. `version` rises for ever within a lead; `merged_versions` are the last ones of the
    leads it took over; `late_activities` came with this state and are older than `recent_activities`.
    """

    lead_id: LeadId
    version: Annotated[int, Field(ge=1)]
    evaluated_at: Judged
    cause: str = "activity"
    silent: bool | None = None
    merged_from: list[LeadId] = Field(default_factory=list)
    merged_versions: dict[LeadId, int] = Field(default_factory=dict)
    unmerged_from: LeadId | None = None
    identifiers: Object = Field(default_factory=dict)
    attributes: Object = Field(default_factory=dict)
    consent: Object = Field(default_factory=dict)
    primary: str | None = None
    models: dict[str, ModelState]
    signal_activities: list[Object] = Field(default_factory=list)
    recent_activities: list[Object] = Field(default_factory=list)
    late_activities: list[Object] = Field(default_factory=list)

    def model_name(self, wanted: str | None) -> str | None:
        """The model a rule asks for: by name, else the primary, else the first. None where the state lacks it."""
        name = wanted or self.primary or next(iter(self.models), None)
        return name if name in self.models else None

    @property
    def named(self) -> set[str]:
        """The lead, and those that it took over or was taken out of."""
        return {self.lead_id, *self.merged_from, *([self.unmerged_from] if self.unmerged_from else ())}

    @property
    def quiet(self) -> bool:
        """Whether what caused this state raises nothing; the record's own word counts before its cause."""
        return self.cause in SILENT_CAUSES if self.silent is None else self.silent

    @property
    def email_domain(self) -> str | None:
        """The domain of the lead's e-mail address."""
        email = self.identifiers.get("email")
        return email.rpartition("@")[2] if isinstance(email, str) and "@" in email else None


def parse_state(value: bytes) -> LeadState:
    """A record's value. Raises InvalidMessage naming what is wrong, without quoting it."""
    try:
        return LeadState.model_validate(codec.decode(value, codec.MESSAGE_DEPTH))
    except codec.JsonFault as error:
        raise InvalidMessage(str(error)) from None
    except ValidationError as error:
        raise InvalidMessage(faults_text(error)) from None


def stored_state(value: bytes) -> LeadState:
    """What `encode_state` made. It was checked when it came in, which for a run of many leads is not done again."""
    return LeadState.model_validate(orjson.loads(value))


def faults_text(error: ValidationError) -> str:
    """Pydantic's faults in one line, without the values, which may be personal."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(f"{'.'.join(str(part) for part in item['loc']) or 'value'}: {item['msg']}" for item in found[:5])


def encode_state(state: LeadState, *, whole: bool = False) -> bytes:
    """What is kept of a lead's last state: enough to judge a rule that is added later; `stored_state` reads it back.

    `whole` keeps what a `qualified-leads` record shows too, for a lead that may be handed over from this state.
    """
    kept: dict[str, Any] = {
        "lead_id": state.lead_id,
        "version": state.version,
        "evaluated_at": to_rfc3339(state.evaluated_at),
        "identifiers": state.identifiers,
        "attributes": state.attributes,
        "consent": state.consent,
        "primary": state.primary,
        "models": {name: _kept(model, whole=whole) for name, model in state.models.items()},
    }
    if whole:
        kept |= {"signal_activities": state.signal_activities, "recent_activities": state.recent_activities}
    return codec.encode(kept)


def _kept(model: ModelState, *, whole: bool) -> dict[str, Any]:
    left_out = {name for name, out in (("reasons", not whole), ("forecast", not model.forecast)) if out}
    return model.model_dump(exclude=left_out)
