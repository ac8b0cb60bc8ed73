"""The shape of an activity on the wire: what `POST /v1/activities` takes and what `lead-activities` carries."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from shared.errors import FieldFault

Id = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Source = Annotated[str, StringConstraints(min_length=1, max_length=128)]
ShortText = Annotated[str, StringConstraints(max_length=512)]


Model = TypeVar("Model", bound=BaseModel)


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, regex_engine="rust-regex")


class PostedLead(_Strict):
    """What the sender knows its lead by; at least one must name a person."""

    email: ShortText | None = None
    external_ids: dict[str, Id] | None = None
    phone: ShortText | None = None
    anonymous_id: ShortText | None = None


class PostedConsent(_Strict):
    """What the lead agreed to or withdrew, with the proof as the source has it."""

    profiling: bool | None = None
    email: bool | None = None
    phone: bool | None = None
    at: ShortText | None = None
    source: ShortText | None = None
    text: Annotated[str, StringConstraints(max_length=4096)] | None = None


class PostedActivity(_Strict):
    """The body of `POST /v1/activities`: `type` and one identifier, all else optional."""

    type: Annotated[str, StringConstraints(max_length=64)]
    lead: PostedLead
    id: Id | None = None
    source: Source | None = None
    occurred_at: ShortText | None = None
    attributes: dict[str, Any] | None = None
    properties: dict[str, Any] | None = None
    consent: PostedConsent | None = None


class RecordedActivity(PostedActivity):
    """The value of a `lead-activities` record: as posted, with what ingest filled in."""

    id: Id
    source: Source
    occurred_at: ShortText
    received_at: ShortText | None = None
    claimed_at: ShortText | None = None
    flags: list[str] = []


class ActivityFaults(ValueError):
    """Every fault of one activity, each with a JSON pointer relative to that activity."""

    def __init__(self, faults: list[FieldFault]) -> None:
        super().__init__("; ".join(f"{fault.pointer or 'activity'}: {fault.detail}" for fault in faults))
        self.faults = faults


def validate(model: type[Model], raw: Any) -> Model:
    """Check `raw` against `model`; raises ActivityFaults with every fault."""
    if not isinstance(raw, dict):
        raise ActivityFaults([FieldFault("", "an activity is a JSON object")])
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise ActivityFaults([_fault(item) for item in error.errors(include_url=False, include_input=False)]) from None


def _fault(item: Mapping[str, Any]) -> FieldFault:
    path = "/".join(str(part).replace("~", "~0").replace("/", "~1") for part in item["loc"])
    detail = "unknown field" if item["type"] == "extra_forbidden" else item["msg"]
    return FieldFault("/" + path, detail)
