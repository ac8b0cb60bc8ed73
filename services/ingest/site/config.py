"""The `forms:` and `tags:` parts of `sources.yaml`: which pages may send what, and what their fields mean to us."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar
from urllib.parse import quote, urlsplit

from pydantic import AfterValidator, Field, ValidationError

from services.ingest.sources.config import NAME, Text, expanded, target, variables_in
from shared.conditions.faults import Fault, faults_of
from shared.conditions.schema import ActivityType, Duration, Schema
from shared.durations import parse_duration

IGNORE = "ignore"
HONEYPOT = "kizashi_website"
"""A field that people do not see; whoever fills it in is a program. Unless the form names another."""
MAX_URL = 2_048

_WRITE_KEY = re.compile(r"[A-Za-z0-9_-]{8,128}")
_URL_TEXT = re.compile(r"[!#$%&'()*+,\-./0-9:;=?@A-Z_a-z~\[\]]+")
_HOST = re.compile(r"[a-z0-9_.-]+|\[[0-9a-f:.]+\]")

Config = TypeVar("Config", bound=Schema)
Made = TypeVar("Made")


def origin(text: str) -> str:
    """An origin as browsers send it. Raises ValueError."""
    parts = urlsplit(text)
    try:
        port = parts.port
    except ValueError:
        port = -1
    host = parts.netloc.rpartition(":")[0] if port else parts.netloc
    fits = parts.scheme in ("http", "https") and _HOST.fullmatch(host.lower()) and port != -1
    if not fits or text.partition("//")[2] != parts.netloc:
        raise ValueError("expected an origin such as https://www.example.co.jp, with nothing behind the host")
    default = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host.lower()}" + (f":{port}" if port and port != default else "")


def web_address(text: str) -> str:
    """An absolute http(s) address in the characters of a URL; others are percent-encoded. Raises ValueError."""
    written = quote(text.strip(), safe="!#$%&'()*+,-./:;=?@_~[]")
    parts = urlsplit(written)
    try:
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc or "%" in parts.netloc:
        raise ValueError("expected an address that begins with https:// and a host")
    if len(written) > MAX_URL or not _URL_TEXT.fullmatch(written):
        raise ValueError(f"expected an address of at most {MAX_URL:,} characters")
    return written


def _field_target(path: str) -> str:
    return path if path == IGNORE else target(path)


def _write_key(key: str) -> str:
    if not _WRITE_KEY.fullmatch(key) and "${" not in key:
        raise ValueError("expected 8 to 128 letters, digits, _ and -")
    return key


def _placeholder_or(check: Callable[[str], str]) -> Callable[[str], str]:
    """An unset ${NAME} stays as written; its form is switched off and the rest of it still checked."""
    return lambda text: text if "${" in text else check(text)


Origin = Annotated[str, AfterValidator(_placeholder_or(origin))]
Address = Annotated[str, AfterValidator(_placeholder_or(web_address))]
Constants = dict[Text, str | int | float | bool]


class FormConfig(Schema):
    """One form as configured."""

    activity: ActivityType = "form_submitted"
    allowed_origins: list[Origin] = Field(default_factory=list)
    thank_you: Address | None = None
    fields: dict[Text, Annotated[str, AfterValidator(_field_target)]] | None = None
    properties: Constants = Field(default_factory=dict)
    consent_text: Annotated[str, Field(min_length=1, max_length=4_096)] | None = None
    honeypot: Text = HONEYPOT
    min_fill: Duration | None = parse_duration("2s")


class TagConfig(Schema):
    """One site with the page tag, or an application that speaks Segment's protocol."""

    write_keys: Annotated[list[Annotated[str, AfterValidator(_write_key)]], Field(min_length=1)]
    allowed_origins: list[Origin] = Field(default_factory=list)
    system: Annotated[str, Field(pattern=r"^[^\s:]{1,64}$")] | None = None
    types: list[ActivityType] | None = None
    events: dict[Text, ActivityType] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Form:
    """One form. `fields` is None where the usual names of fields are to be understood; `disabled` says why it takes
    nothing.
    """

    key: str
    activity: str = "form_submitted"
    allowed_origins: frozenset[str] = frozenset()
    thank_you: str | None = None
    fields: Mapping[str, str] | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    consent_text: str | None = None
    honeypot: str = HONEYPOT
    min_fill_s: float = 2.0
    region: str = "JP"
    disabled: str | None = None

    def asked(self, purpose: str, name: str) -> str:
        """What people are shown beside a field of consent: `consent_text` is about profiling, or, where the form does
        not ask for that, about whatever it asks for; else it is the field's own name.
        """
        about = purpose == "profiling" or "consent.profiling" not in (self.fields or {}).values()
        return self.consent_text if self.consent_text and about else name


@dataclass(frozen=True, slots=True)
class Tag:
    """One site. Its name is the source of its activities; `system` stands before the ids of its own accounts; `types`
    are the only activity types it may send, None for any; `events` gives our words for its own event names.
    """

    name: str
    write_keys: tuple[str, ...]
    allowed_origins: frozenset[str] = frozenset()
    system: str = ""
    types: frozenset[str] | None = None
    events: Mapping[str, str] = field(default_factory=dict)
    disabled: str | None = None


def read_forms(tree: Any, env: Mapping[str, str], region: str = "JP") -> tuple[dict[str, Form], list[Fault]]:
    """The forms of the `forms:` part, and every fault of it with its path inside the file."""

    def made(key: str, config: FormConfig, disabled: str | None) -> Form:
        return Form(
            key=key,
            activity=config.activity,
            allowed_origins=frozenset(config.allowed_origins),
            thank_you=config.thank_you,
            fields=config.fields,
            properties=config.properties,
            consent_text=config.consent_text,
            honeypot=config.honeypot,
            min_fill_s=config.min_fill.total_seconds() if config.min_fill else 0.0,
            region=region,
            disabled=disabled,
        )

    return _read("forms", tree, env, FormConfig, made)


def read_tags(tree: Any, env: Mapping[str, str]) -> tuple[dict[str, Tag], list[Fault]]:
    """The sites of the `tags:` part, and every fault of it: a write key belongs to one of them alone."""

    def made(name: str, config: TagConfig, disabled: str | None) -> Tag:
        types = None if config.types is None else frozenset(config.types)
        origins, system = frozenset(config.allowed_origins), config.system or name
        return Tag(name, tuple(config.write_keys), origins, system, types, config.events, disabled)

    tags, faults = _read("tags", tree, env, TagConfig, made)
    owner: dict[str, str] = {}
    for name, tag in tags.items():
        for number, key in enumerate(tag.write_keys):
            if owner.setdefault(key, name) != name:
                faults.append(Fault(("tags", name, "write_keys", number), f"is the key of {owner[key]} already"))
    return tags, faults


def _read(
    part: str,
    tree: Any,
    env: Mapping[str, str],
    schema: type[Config],
    make: Callable[[str, Config, str | None], Made],
) -> tuple[dict[str, Made], list[Fault]]:
    if tree is None:
        return {}, []
    if not isinstance(tree, dict):
        return {}, [Fault((part,), "expected keys with values")]
    found: dict[str, Made] = {}
    faults: list[Fault] = []
    for name, described in tree.items():
        if not NAME.fullmatch(name):
            faults.append(Fault((part, name), "expected a name of letters, digits, dots and dashes"))
            continue
        unset = sorted({variable for variable in variables_in(described) if not env.get(variable)})
        try:
            config = schema.model_validate(expanded(described, env))
        except ValidationError as error:
            faults += [Fault((part, name, *fault.path), fault.expected) for fault in faults_of(error)]
            continue
        found[name] = make(name, config, f"{', '.join(unset)} is not set" if unset else None)
    return found, faults
