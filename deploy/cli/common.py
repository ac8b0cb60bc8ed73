"""What the commands share: their common options, the way to a running stack, how they print and end."""

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
import typer

from deploy.local import state
from deploy.local.paths import ROOT, DataFolder
from deploy.local.ports import DEFAULT_BASE, PortBlock
from deploy.local.report import Report, for_stderr
from shared.errors import KizashiError
from shared.settings import Settings, load

DONE = 0
FAILED: Literal[1] = 1
WRONG_USE: Literal[2] = 2

DEFAULT_DATA_DIR = Path(".kizashi")
_BLOCK = 1 << 20


def _folder(text: str | Path) -> Path:
    # As a path an empty text is the current folder, which an unset shell variable must never stand for.
    if not str(text).strip():
        raise typer.BadParameter("expected the path of a folder, not an empty text")
    return Path(text)


DataDir = Annotated[
    Path,
    typer.Option(
        "--data-dir",
        envvar="KIZASHI_DATA_DIR",
        show_envvar=False,
        parser=_folder,
        metavar="<path>",
        help="The folder of the stack's data.",
    ),
]
ConfigDir = Annotated[
    Path | None,
    typer.Option(
        "--config-dir",
        envvar="KIZASHI_CONFIG_DIR",
        show_envvar=False,
        exists=True,
        file_okay=False,
        help="The folder of the configuration (the shipped one by default).",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@dataclass(frozen=True, slots=True)
class StackAddresses:
    """How to reach a running stack. `cli_key` is an API key with every right; `database_url` may hold a password."""

    data: DataFolder
    services: Mapping[str, str]
    bootstrap_servers: str
    database_url: str
    config_dir: Path
    cli_key: str
    settings: Settings
    """All of it as settings, with TLS and SASL of the environment: what Kafka clients and pools are made from."""

    def url(self, service: str) -> str:
        """The base URL of a service, without a slash at its end."""
        return self.services[service]

    @property
    def authorization(self) -> dict[str, str]:
        """The header that the services ask for."""
        return {"Authorization": f"Bearer {self.cli_key}"}


def stack_addresses(data_dir: Path, env: Mapping[str, str] | None = None) -> StackAddresses:
    """The stack that runs on a data folder, or, where none does, the servers that the environment names.

    Raises KizashiError when there is neither, ConfigError for a faulty environment.
    """
    env = dict(os.environ if env is None else env)
    data = DataFolder.at(data_dir)
    now = state.read(data.state)
    if now is None or state.find(now.supervisor) is None:
        if "KIZASHI_KAFKA__BOOTSTRAP_SERVERS" not in env:
            raise KizashiError(f"no stack runs on {data.path}; start one with `kizashi up`")
        now = None
    services = now.addresses.services if now else _default_services()
    settings = load(Settings, {**env, **_environment(data, now, env)})
    return StackAddresses(
        data=data,
        services=services,
        bootstrap_servers=settings.kafka.bootstrap_servers,
        database_url=settings.database.url.get_secret_value(),
        config_dir=settings.config_dir,
        cli_key=_read_key(data),
        settings=settings,
    )


def print_json(value: Any) -> None:
    """One JSON document on stdout, in one line."""
    sys.stdout.write(orjson.dumps(value).decode() + "\n")


def check_key(key: str | None) -> None:
    """Raises BadParameter for an API key that no header can carry."""
    if key is not None and not (key.isascii() and key.isprintable()):
        raise typer.BadParameter("an API key is ASCII letters, digits, dashes and underscores", param_hint="--key")


def write_file(path: Path, content: bytes) -> None:
    """Write what a command was asked to put into a file. Ends the command with the reason where that fails."""
    try:
        path.write_bytes(content)
    except OSError as error:
        raise fail(f"{path}: cannot be written ({error.strerror})") from None


def progress() -> Report:
    """Progress on a terminal's stderr; elsewhere only what is worth a message."""
    return for_stderr(plain=False)


def fail(reason: str, code: Literal[1, 2] = FAILED) -> typer.Exit:
    """`raise fail("…")`: the reason on stderr, and the exit code."""
    print(f"kizashi: {reason}", file=sys.stderr)
    return typer.Exit(code)


def _environment(data: DataFolder, now: state.StackState | None, env: Mapping[str, str]) -> dict[str, str]:
    decided = {"KIZASHI_DATA_DIR": str(data.path)}
    if now is None:
        return decided | ({} if "KIZASHI_CONFIG_DIR" in env else {"KIZASHI_CONFIG_DIR": str(ROOT / "config")})
    decided["KIZASHI_CONFIG_DIR"] = now.config_dir
    if "kafka" in now.addresses.embedded:
        decided["KIZASHI_KAFKA__BOOTSTRAP_SERVERS"] = now.addresses.bootstrap_servers
    if "postgres" in now.addresses.embedded:
        decided["KIZASHI_DATABASE__URL"] = now.addresses.database_url
    if data.identity_secret.exists() and "KIZASHI_IDENTITY_SECRET" not in env:
        decided["KIZASHI_IDENTITY_SECRET_FILE"] = str(data.identity_secret)
    return decided


def _default_services() -> dict[str, str]:
    return {name: f"http://127.0.0.1:{port}" for name, port in PortBlock(DEFAULT_BASE).services.items()}


def _read_key(data: DataFolder) -> str:
    try:
        return data.cli_key.read_text(encoding="ascii").strip()
    except OSError:
        return ""


@contextmanager
def seekable(file: Path, at_most: int | None = None) -> Iterator[Path]:
    """A file that can be read again and from its middle. A pipe, as `<(…)` makes, is copied first: so many bytes of it,
    as a device may have no end.
    """
    if file.is_file():
        yield file
        return
    with tempfile.TemporaryDirectory(prefix="kizashi-") as folder:
        copy, left = Path(folder) / file.name, sys.maxsize if at_most is None else at_most
        with file.open("rb") as read, copy.open("wb") as written:
            while left and (block := read.read(min(left, _BLOCK))):
                written.write(block)
                left -= len(block)
        yield copy
