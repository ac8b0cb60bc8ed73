"""What a destination is told to be: the body of `POST /v1/destinations`, checked as a whole. Pure."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    TypeAdapter,
    ValidationInfo,
    field_validator,
)

from services.handoff.core.signing import secret_key
from services.handoff.core.values import Email, Name
from shared.errors import FieldFault, pointer
from shared.events import (
    ACCOUNT_QUALIFIED,
    COOLED,
    COOLING,
    DESTINATION_DISABLED,
    ERASED,
    EXTRACTION_COMPLETED,
    HANDOFF_OUTCOME,
    HANDOFF_OVERDUE,
    MERGED,
    QUALIFIED,
    STAGE_CHANGED,
)

EVERY = "*"
MASK = "***"
"""Shown instead of what is secret."""
EVENTS = (
    QUALIFIED,
    HANDOFF_OUTCOME,
    HANDOFF_OVERDUE,
    EXTRACTION_COMPLETED,
    DESTINATION_DISABLED,
    MERGED,
    ERASED,
    STAGE_CHANGED,
    COOLING,
    COOLED,
    ACCOUNT_QUALIFIED,
)
"""What may be asked for: all that handoff and scoring publish for others to act on."""
MAX_HEADERS = 20
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_VALUE = re.compile(r"[\x20-\x7e]{1,2000}")
_OWN_HEADERS = frozenset(
    "host content-length content-type transfer-encoding connection user-agent accept-encoding expect te trailer upgrade"
    " webhook-id webhook-timestamp webhook-signature".split()
)
_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def _event(value: Any) -> str:
    if value not in (*EVENTS, EVERY):
        raise ValueError(f"expected one of {', '.join(EVENTS)}, or {EVERY} for all")
    return str(value)


def _zone(value: Any) -> str:
    try:
        return ZoneInfo(value).key
    except (OSError, ValueError, TypeError, ZoneInfoNotFoundError):
        raise ValueError("expected an IANA time zone, such as Asia/Tokyo") from None


def _secret(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("expected a secret as a text")
    secret_key(value)
    return value


def _headers(value: Any) -> Any:
    if not isinstance(value, Mapping) or len(value) > MAX_HEADERS:
        raise ValueError(f"expected at most {MAX_HEADERS} names with values")
    for name, text in value.items():
        if not isinstance(name, str) or not _HEADER.fullmatch(name) or name.lower() in _OWN_HEADERS:
            raise ValueError("expected names of headers that are not set by the delivery itself")
        if not isinstance(text, str) or not _VALUE.fullmatch(text):
            raise ValueError("expected values of visible ASCII characters")
    return value


def _folder(value: Any) -> str:
    if not isinstance(value, str) or not _FOLDER.fullmatch(value):
        raise ValueError("expected the name of a folder: letters, digits, - and _")
    return value


class _Spec(BaseModel):
    """What all kinds have. An event is delivered where its type, its rule and its queue are all asked for; events that
    carry no rule or no queue do not pass where those are asked for.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    SECRET: ClassVar[tuple[str, ...]] = ()

    name: Annotated[Name, Field(description="Yours to choose; no two destinations have the same.")]
    events: Annotated[
        list[Annotated[str, BeforeValidator(_event)]],
        Field(min_length=1, max_length=50, description="Event types; `*` for all."),
    ] = [QUALIFIED]
    rules: Annotated[list[Name], Field(min_length=1, max_length=200)] | None = None
    queues: Annotated[list[Name], Field(min_length=1, max_length=200)] | None = None
    state: Literal["active", "disabled"] = "active"

    @property
    def collects(self) -> bool:
        """Whether the leads of one run come as one."""
        return False


class _ForPeople(_Spec):
    language: Literal["ja", "en"] = "ja"
    timezone: Annotated[str, BeforeValidator(_zone)] = "Asia/Tokyo"
    digest: Annotated[bool, Field(description="One message for all leads of a scheduled run.")] = False

    @property
    def collects(self) -> bool:
        return self.digest


class WebhookSpec(_Spec):
    """Signed HTTP POST by Standard Webhooks 1.0. `secret` is made if none is given; `headers` are sent as they are."""

    SECRET: ClassVar[tuple[str, ...]] = ("headers",)

    kind: Literal["webhook"]
    url: str
    headers: Annotated[dict[str, str], BeforeValidator(_headers)] = {}
    secret: Annotated[str, BeforeValidator(_secret)] | None = None


class SlackSpec(_ForPeople):
    """An incoming webhook of Slack, or of a chat that takes the same. Its URL is a secret."""

    SECRET: ClassVar[tuple[str, ...]] = ("url",)

    kind: Literal["slack"]
    url: str


class MailSpec(_ForPeople):
    """Mail to `to`; with `to_owner` to those the event names (owner, head of the queue), where handoff.yaml has their
    addresses, and only else to `to`.
    """

    kind: Literal["mail"]
    to_owner: bool = False
    to: Annotated[list[Email], Field(max_length=50, validate_default=True)] = []

    @field_validator("to")
    @classmethod
    def _has_reader(cls, to: list[str], info: ValidationInfo) -> list[str]:
        if not to and not info.data.get("to_owner", True):
            raise ValueError("expected addresses in `to`, or `to_owner`")
        return to


class FolderSpec(_ForPeople):
    """CSV files in a folder beneath the export folder of the service."""

    kind: Literal["folder"]
    folder: Annotated[str, BeforeValidator(_folder)]
    encoding: Annotated[Literal["utf-8", "cp932"], Field(description="utf-8 begins with a BOM, for Excel.")] = "utf-8"

    @field_validator("events")
    @classmethod
    def _only_leads(cls, events: list[str]) -> list[str]:
        if events != [QUALIFIED]:
            raise ValueError(f"expected `events` to be [{QUALIFIED}]: only leads become rows")
        return events


Spec = Annotated[WebhookSpec | SlackSpec | MailSpec | FolderSpec, Discriminator("kind")]
_ANY: TypeAdapter[WebhookSpec | SlackSpec | MailSpec | FolderSpec] = TypeAdapter(Spec)


def read_spec(value: Any) -> WebhookSpec | SlackSpec | MailSpec | FolderSpec:
    """A whole specification. Raises pydantic's ValidationError."""
    return _ANY.validate_python(value)


def split(spec: WebhookSpec | SlackSpec | MailSpec | FolderSpec) -> tuple[dict[str, Any], dict[str, Any]]:
    """What may be shown of a specification, and what may not; the signing secret is in neither."""
    whole = spec.model_dump(exclude={"secret"})
    hidden = {name: whole.pop(name) for name in spec.SECRET}
    return whole, hidden


def patched(whole: Mapping[str, Any], patch: Mapping[str, Any], shown_url: str | None = None) -> dict[str, Any]:
    """A JSON merge patch (RFC 7396): null removes a header, and takes a field back to its default.

    What is shown with a mask may come back as it was shown: it stays what it is. `shown_url` is the URL as shown.
    """
    changed = {**whole, **patch}
    if "url" in whole and patch.get("url") == shown_url is not None:
        changed["url"] = whole["url"]
    if isinstance(patch.get("headers"), Mapping):
        changed["headers"] = _merged(whole.get("headers") or {}, patch["headers"])
    return {name: value for name, value in changed.items() if value is not None}


def _merged(known: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Headers; their names are the same in capitals and small letters."""
    merged = dict(known)
    for name, text in patch.items():
        same = [old for old in merged if old.lower() == name.lower()]
        values = [merged.pop(old) for old in same]
        if text is not None:
            merged[name] = values[0] if values and text == MASK else text
    return merged


def masked(whole: Mapping[str, Any]) -> list[FieldFault]:
    """Where a mask would be taken for a value: it stands for one that is not there."""
    url, headers = whole.get("url"), whole.get("headers")
    faults = []
    if isinstance(url, str) and MASK in url:
        faults.append(FieldFault("/url", f"expected the whole address; {MASK} stands for a part that is not shown"))
    for name, text in headers.items() if isinstance(headers, Mapping) else ():
        if text == MASK:
            faults.append(FieldFault(pointer(["headers", name]), f"expected a value; {MASK} keeps one that is there"))
    return faults
