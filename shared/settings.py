"""Settings from the environment: prefix `KIZASHI_`, nested with `__`, secrets also from files (`…_FILE`)."""

import os
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from shared.errors import ConfigError

PREFIX = "KIZASHI_"
SERVICE_SECTIONS = frozenset({"ingest", "scoring", "handoff", "smtp"})
"""Sections that belong to one service each; all services share one environment, so none objects to another's."""

S = TypeVar("S", bound="Settings")
Port = Annotated[int, Field(ge=1, le=65_535)]
Rate = Annotated[str, Field(pattern=r"^([1-9][0-9]{0,9}/(second|minute|hour|day))?$")]
Seconds = Annotated[float, Field(gt=0, le=3_600)]


class Section(BaseModel):
    """A group of settings. Texts of the environment are converted; unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class KafkaSettings(Section):
    """How to reach Kafka, and how topics are created."""

    bootstrap_servers: str = "127.0.0.1:9092"
    partitions: Annotated[int, Field(ge=1, le=1_000)] = 12
    replication_factor: Annotated[int, Field(ge=1, le=9)] = 1
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    ssl_cafile: Path | None = None
    ssl_certfile: Path | None = None
    ssl_keyfile: Path | None = None


class DatabaseSettings(Section):
    """How to reach PostgreSQL: `postgresql://user:password@host:port/database`."""

    url: SecretStr = SecretStr("postgresql://postgres@127.0.0.1:5432/kizashi")
    pool_size: Annotated[int, Field(ge=2, le=100)] = 8


class HttpSettings(Section):
    """Where a service listens, and what connections and requests may cost it. Sizes in bytes, times in seconds."""

    host: str = "127.0.0.1"
    port: Port | None = None
    trusted_proxies: str = ""
    """Addresses and networks whose forwarded headers are believed, comma-separated."""
    max_connections: Annotated[int, Field(ge=16, le=100_000)] = 4_096
    """Open connections; when all are taken, idle ones make room."""
    max_header_bytes: Annotated[int, Field(ge=4_096, le=1_048_576)] = 32_768
    """Request line and headers together."""
    header_timeout_s: Seconds = 10.0
    """From a request's first byte (or the opening of the connection) to the end of its headers."""
    body_timeout_s: Seconds = 15.0
    """The span over which a body's rate is measured; also how long it may pause."""
    min_body_rate: Annotated[int, Field(ge=1)] = 1_024
    """Bytes a second that a body has to bring; slower ones are cut off with 408."""
    write_timeout_s: Seconds = 30.0
    """How long a client may take nothing of an answer that waits for it."""
    max_in_flight_bytes: Annotated[int, Field(ge=1_048_576)] = 268_435_456
    """Bodies of all requests in hand, those being read included; those without a valid key may fill half of it."""

    @field_validator("trusted_proxies")
    @classmethod
    def _check_proxies(cls, listed: str) -> str:
        for entry in (part.strip() for part in listed.split(",") if part.strip()):
            try:
                ip_network(entry, strict=False)
            except ValueError:
                # A name would never match, and `*` would let every client choose its own address.
                raise ValueError(f"expected IP addresses or networks with commas between, not {entry!r}") from None
        return listed


class RateSettings(Section):
    """How many requests are taken in a span of time, such as `3000/minute`; empty: any number. Each process counts for
    itself, in windows that begin with the first request counted.
    """

    per_key: Rate = "6000000/minute"
    """Of one API key, and of one webhook source."""
    per_address: Rate = "3000/minute"
    """Of one address, on the routes that need no secret key: forms, page tag, Segment calls."""
    failures_per_address: Rate = "300/minute"
    """Of one address, without a valid key or signature; beyond it they are answered 429 instead of 401."""


class OutgoingSettings(Section):
    """Where calls to addresses of others may go besides public ones: `host:port`, comma-separated."""

    allow: str = ""


class Settings(Section):
    """What every service needs; a service adds one section of its own name."""

    env: Literal["local", "production"] = "local"
    data_dir: Path = Path(".kizashi")
    config_dir: Path = Path("config")
    key_store: Path | None = None
    identity_secret: SecretStr | None = None
    region: Annotated[str, Field(pattern="^[A-Z]{2}$")] = "JP"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    kafka: KafkaSettings = KafkaSettings()
    database: DatabaseSettings = DatabaseSettings()
    http: HttpSettings = HttpSettings()
    rate: RateSettings = RateSettings()
    outgoing: OutgoingSettings = OutgoingSettings()

    @property
    def key_store_path(self) -> Path:
        """The file with the hashes of the API keys."""
        return self.key_store or self.data_dir / "keys.json"

    @property
    def identity_key(self) -> bytes:
        """The key of the hash that turns identifiers into lead ids. Raises ConfigError where none is set."""
        if self.identity_secret is None or not self.identity_secret.get_secret_value():
            raise ConfigError(f"{PREFIX}IDENTITY_SECRET", "a secret text, the same for all services and for ever")
        return self.identity_secret.get_secret_value().encode()


def load(cls: type[S], env: Mapping[str, str] | None = None) -> S:
    """Read settings of class `cls` from the environment (the process's own by default).

    Raises ConfigError naming the variable and what was expected: for an unknown `KIZASHI_*` name, a value that does not
    fit, or a secret's file that cannot be read.
    """
    tree: dict[str, Any] = {}
    for name, text in sorted((os.environ if env is None else env).items()):
        if name.startswith(PREFIX):
            _place(cls, tree, name, text)
    try:
        return cls.model_validate(tree)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ConfigError(PREFIX + "__".join(str(part) for part in first["loc"]).upper(), first["msg"]) from None


def _place(cls: type[Settings], tree: dict[str, Any], name: str, text: str) -> None:
    path = name.removeprefix(PREFIX).lower().split("__")
    if path[0] in SERVICE_SECTIONS - cls.model_fields.keys():
        return
    if path[-1].endswith("_file") and _kind(cls, path) is None:
        path[-1] = path[-1].removesuffix("_file")
        if SecretStr not in _alternatives(_kind(cls, path)):
            raise ConfigError(name, "no such setting")
        text = _read_secret(name, text)
    if _kind(cls, path) is None:
        raise ConfigError(name, "no such setting")
    for part in path[:-1]:
        tree = tree.setdefault(part, {})
    tree[path[-1]] = text


def _kind(cls: type[BaseModel], path: list[str]) -> Any:
    """The annotated type of a setting, None where there is none of that name."""
    kind: Any = cls
    for part in path:
        if not (isinstance(kind, type) and issubclass(kind, BaseModel)) or part not in kind.model_fields:
            return None
        kind = kind.model_fields[part].annotation
    return None if isinstance(kind, type) and issubclass(kind, BaseModel) else kind


def _alternatives(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) or (kind,)


def _read_secret(name: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(name, f"a readable file ({error.strerror})") from error
