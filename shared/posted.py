"""The shape of an activity on the wire: what `POST /v1/activities` takes and what `lead-activities` carries."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from shared.errors import FieldFault, pointer

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


class RecordedSignals(_Strict):
    """What ingest noticed about a request, for the judgement on bots that scoring makes; every key optional.

    `network` is a keyed hash of the sender's /24 or /48, never the address; `since_sent_s` the seconds since the mail
    was sent; `link` the id of a tracked link; `honeypot`: only a machine sees what was used. A key that a later ingest
    adds is kept unread.
    """

    model_config = ConfigDict(extra="allow")

    method: Literal["GET", "HEAD", "POST"] | None = None
    network: ShortText | None = None
    agent: Literal["browser", "mail-proxy", "scanner", "library", "unknown"] | None = None
    since_sent_s: float | None = None
    link: ShortText | None = None
    honeypot: bool | None = None


class RecordedActivity(PostedActivity):
    """The value of a `lead-activities` record: as posted, with what ingest filled in."""

    id: Id
    source: Source
    occurred_at: ShortText
    received_at: ShortText | None = None
    claimed_at: ShortText | None = None
    flags: list[str] = []
    signals: RecordedSignals | None = None


_TEXT = frozenset({str})
_POSTED = frozenset(PostedActivity.model_fields)
_RECORDED = frozenset(RecordedActivity.model_fields)
_LEAD = frozenset(PostedLead.model_fields)
_AGREED = frozenset({"profiling", "email", "phone"})
_PROOF = {"at": 512, "source": 512, "text": 4096}
_METHODS = frozenset({"GET", "HEAD", "POST"})
_AGENTS = frozenset({"browser", "mail-proxy", "scanner", "library", "unknown"})


def is_plain(raw: Any) -> bool:
    """Whether `raw` is certainly a PostedActivity.

    Holds for nearly all that arrive, at a fifth of the model's time; the model has the word on all others, and finds
    the faults.
    """
    return type(raw) is dict and raw.keys() <= _POSTED and _is_plain_body(raw)


def is_plain_record(raw: Any) -> bool:
    """Whether `raw` is certainly a RecordedActivity; as `is_plain`."""
    return (
        type(raw) is dict
        and raw.keys() <= _RECORDED
        and type(raw.get("id")) is type(raw.get("source")) is type(raw.get("occurred_at")) is str
        and type(raw.get("received_at", "")) is str
        and "claimed_at" not in raw
        and type(flags := raw.get("flags", [])) is list
        and all(type(flag) is str for flag in flags)
        and ("signals" not in raw or is_plain_signals(raw["signals"]))
        and _is_plain_body(raw)
    )


def is_plain_signals(signals: Any) -> bool:
    """Whether `signals` are certainly RecordedSignals, without a key of a later ingest."""
    if type(signals) is not dict:
        return False
    for name, value in signals.items():
        if name in ("network", "link"):
            plain = type(value) is str and len(value) <= 512
        elif name == "method":
            plain = type(value) is str and value in _METHODS
        elif name == "agent":
            plain = type(value) is str and value in _AGENTS
        elif name == "since_sent_s":
            plain = type(value) is int or (type(value) is float and math.isfinite(value))
        else:
            plain = name == "honeypot" and type(value) is bool
        if not plain:
            return False
    return True


def _is_plain_body(raw: dict[str, Any]) -> bool:
    # Written out, as every activity goes through here.
    kind, id_, source, said = raw.get("type"), raw.get("id"), raw.get("source"), raw.get("occurred_at")
    attributes, properties, consent = raw.get("attributes"), raw.get("properties"), raw.get("consent")
    return (
        type(kind) is str
        and len(kind) <= 64
        and (id_ is None or (type(id_) is str and 0 < len(id_) <= 256))
        and (source is None or (type(source) is str and 0 < len(source) <= 128))
        and (said is None or (type(said) is str and len(said) <= 512))
        and (attributes is None or (type(attributes) is dict and _TEXT.issuperset(map(type, attributes))))
        and (properties is None or (type(properties) is dict and _TEXT.issuperset(map(type, properties))))
        and (consent is None or _is_plain_consent(consent))
        and _is_plain_lead(raw.get("lead"))
    )


def _is_plain_consent(consent: Any) -> bool:
    if type(consent) is not dict:
        return False
    for name, word in consent.items():
        if name in _PROOF:
            if type(word) is not str or len(word) > _PROOF[name]:
                return False
        elif name not in _AGREED or type(word) is not bool:
            return False
    return True


def _is_plain_lead(lead: Any) -> bool:
    if type(lead) is not dict or not lead.keys() <= _LEAD:
        return False
    for name, value in lead.items():
        if name == "external_ids":
            if type(value) is not dict or not all(
                type(source) is type(known_as) is str and 0 < len(known_as) <= 256 for source, known_as in value.items()
            ):
                return False
        elif type(value) is not str or len(value) > 512:
            return False
    return True


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
    detail = "unknown field" if item["type"] == "extra_forbidden" else item["msg"]
    return FieldFault(pointer(item["loc"]), detail)
