"""The `webhooks:` part of `sources.yaml`: which sources there are, and what is particular to each."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, cast
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, ValidationError, ValidationInfo, field_validator

from services.ingest.sources.base import UTC_ZONE, Adapter, Options
from services.ingest.sources.drafts import IGNORE
from services.ingest.sources.fetchers import FETCHERS
from services.ingest.sources.fetching import FetchOptions
from services.ingest.sources.recipes import Mapped, Recipe, signed_parts
from services.ingest.sources.registry import SOURCES
from shared.conditions.faults import Fault, faults_of
from shared.conditions.schema import Schema, activity_type
from shared.durations import parse_duration

NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_MISWRITTEN = re.compile(r"\$\{[^}]*|\$[A-Z_][A-Z0-9_]*")
_TARGET = re.compile(
    r"lead\.(?:email|phone|anonymous_id|external_ids\.[^\s:.]{1,64})|attributes\.[\w-]+|properties\.[\w-]+"
    r"|consent\.(?:profiling|email|phone)"
)
Text = Annotated[str, Field(min_length=1, max_length=2_048)]


def _zone(name: Any) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError, TypeError):
        raise ValueError("expected an IANA time zone such as Asia/Tokyo") from None


def _tolerance(span: Any) -> float | None:
    """Seconds; None for `none`."""
    if span == "none":
        return None
    if not isinstance(span, str):
        raise ValueError("expected a span of time such as 300s, or none")
    return parse_duration(span).total_seconds()


def target(path: str) -> str:
    """Where a field goes. Raises ValueError for a place there is not."""
    if not _TARGET.fullmatch(path):
        raise ValueError(
            "expected lead.email, lead.external_ids.NAME, attributes.NAME, properties.NAME or consent.email"
        )
    return path


def _type_or_ignore(name: str) -> str:
    return name if name == IGNORE else activity_type(name)


def _signed(template: str) -> str:
    signed_parts(template)
    return template


def _time_format(form: str) -> str:
    if form not in {"auto", "s", "ms", "iso"} and "%" not in form:
        raise ValueError("expected auto, s, ms, iso, or a format such as %Y/%m/%d %H:%M")
    datetime(2026, 1, 1).strftime(form)  # noqa: DTZ001 - only to see whether it is a format
    return form


class SignatureConfig(Schema):
    """The recipe of a generic source's signature; see Recipe."""

    header: Text
    signed: Annotated[Text, AfterValidator(_signed)] = "{body}"
    algorithm: Literal["sha1", "sha256", "sha512"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    form: Text = "{signature}"
    timestamp: Text | None = None
    time_format: Literal["s", "ms", "http_date"] = "s"
    key: Literal["text", "base64"] = "text"

    @field_validator("form")
    @classmethod
    def _holds_signature(cls, form: str) -> str:
        if form != "fields" and form.count("{signature}") != 1:
            raise ValueError("expected a text with {signature} in it once, or fields")
        return form


class MappingConfig(Schema):
    """How a generic source's body is read; see Mapped."""

    items: str = ""
    type: Text | None = None
    id: list[Text] = Field(default_factory=list)
    time: Text | None = None
    time_format: Annotated[Text, AfterValidator(_time_format)] = "auto"
    test: Text | None = None
    fields: Annotated[dict[Text, Annotated[str, AfterValidator(target)]], Field(min_length=1)]


class FetchConfig(Schema):
    """A source's access to its tool's API. What is left out is as the tool's own documentation has it."""

    token: Text
    api: Annotated[str, Field(pattern=r"^https?://[^/\s?#]+(?:/[^\s?#]*)?$")] | None = None
    version: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,32}$")] | None = None
    calls_per_minute: Annotated[int, Field(ge=1, le=60_000)] | None = None


class WebhookConfig(Schema):
    """One source as configured."""

    adapter: str
    secrets: Annotated[list[Text], Field(min_length=1)]
    public_url: Text | None = None
    timezone: Annotated[Any, AfterValidator(_zone)] = UTC_ZONE
    tolerance: Annotated[Any, AfterValidator(_tolerance)] = "default"
    system: Annotated[str, Field(pattern=r"^[^\s:]{1,64}$")] | None = None
    types: dict[Text, Annotated[str, AfterValidator(_type_or_ignore)]] = Field(default_factory=dict)
    activity: Annotated[str, AfterValidator(activity_type)] | None = None
    accept_v1: bool = False
    verify_token: Text | None = None
    organization_ids: list[Text] = Field(default_factory=list)
    allowed_origins: list[Text] = Field(default_factory=list)
    signature: SignatureConfig | None = None
    mapping: MappingConfig | None = None
    fetch: FetchConfig | None = None

    @field_validator("fetch")
    @classmethod
    def _askable(cls, fetch: FetchConfig | None, given: ValidationInfo) -> FetchConfig | None:
        adapter = given.data.get("adapter")
        if fetch is not None and adapter is not None and adapter not in FETCHERS:
            raise ValueError(f"expected only for {' '.join(FETCHERS)}")
        return fetch

    @field_validator("adapter")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in SOURCES:
            raise ValueError(f"expected one of {' '.join(SOURCES)}")
        return name

    @field_validator("public_url")
    @classmethod
    def _absolute(cls, url: str | None) -> str | None:
        if url is not None and not re.match(r"https?://[^/\s]+", url):
            raise ValueError("expected an address with scheme and host, as the tool requests it")
        return url


@dataclass(frozen=True, slots=True)
class Source:
    """One configured source. `disabled` says why it takes nothing, naming no secret."""

    name: str
    adapter: Adapter
    secrets: tuple[str, ...]
    options: Options
    public_url: str | None = None
    allowed_origins: tuple[str, ...] = ()
    disabled: str | None = None
    fetch: FetchOptions | None = None


def read_webhooks(tree: Any, env: Mapping[str, str], region: str = "JP") -> tuple[dict[str, Source], list[Fault]]:
    """The sources of the `webhooks:` part, and every fault of it with its path inside the file.

    `${NAME}` anywhere in a value is replaced from `env`; a source with an unset one is kept, but disabled.
    """
    if tree is None:
        return {}, []
    if not isinstance(tree, dict):
        return {}, [Fault(("webhooks",), "expected keys with values")]
    sources: dict[str, Source] = {}
    faults: list[Fault] = []
    for name, described in tree.items():
        if not NAME.fullmatch(name):
            faults.append(Fault(("webhooks", name), "expected a name of letters, digits, dots and dashes"))
            continue
        unset = sorted({variable for variable in variables_in(described) if not env.get(variable)})
        try:
            # An unset name stays as it is written, so that the rest of the source is checked all the same.
            config = WebhookConfig.model_validate(expanded(described, env))
        except ValidationError as error:
            faults += [Fault(("webhooks", name, *fault.path), fault.expected) for fault in faults_of(error)]
            continue
        sources[name] = _source(name, config, unset, region)
    return sources, faults


def _source(name: str, config: WebhookConfig, unset: list[str], region: str) -> Source:
    return Source(
        name=name,
        adapter=SOURCES[config.adapter],
        secrets=() if unset else tuple(config.secrets),
        options=_options(name, config, region),
        public_url=config.public_url,
        allowed_origins=tuple(config.allowed_origins),
        disabled=f"{', '.join(unset)} is not set" if unset else None,
        fetch=_fetch(config) if config.fetch and not unset else None,
    )


def _fetch(config: WebhookConfig) -> FetchOptions:
    tool, own = FETCHERS[config.adapter], cast("FetchConfig", config.fetch)
    return FetchOptions(
        token=own.token,
        api=(own.api or tool.api).rstrip("/"),
        version=own.version or tool.version,
        calls_per_minute=own.calls_per_minute or tool.calls_per_minute,
    )


def _options(name: str, config: WebhookConfig, region: str) -> Options:
    signature, mapping = config.signature, config.mapping
    return Options(
        source=name,
        system=config.system or config.adapter,
        zone=config.timezone,
        tolerance_s=config.tolerance,
        types=config.types,
        activity=config.activity,
        region=region,
        accept_v1=config.accept_v1,
        verify_token=config.verify_token,
        organization_ids=tuple(config.organization_ids),
        signature=Recipe(**signature.model_dump()) if signature else None,
        mapping=Mapped(**{**mapping.model_dump(), "id": tuple(mapping.id)}) if mapping else None,
    )


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for child in value.values() if isinstance(value, dict) else value:
            yield from _texts(child)


def variables_in(value: Any) -> Iterator[str]:
    """The NAME of every `${NAME}` in a value."""
    for written in _texts(value):
        yield from _VARIABLE.findall(written)


def is_miswritten(secret: str) -> bool:
    """Whether a secret looks like a name that was meant to be replaced: `$NAME`, or `${NAME` without its end."""
    return _MISWRITTEN.fullmatch(secret) is not None


def expanded(value: Any, env: Mapping[str, str]) -> Any:
    """The value with every `${NAME}` replaced that is set in `env`."""
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: env.get(found[1]) or found[0], value)
    if isinstance(value, dict):
        return {key: expanded(child, env) for key, child in value.items()}
    return [expanded(child, env) for child in value] if isinstance(value, list) else value
