"""Kafka's jars: pinned by `kafka.lock`, fetched one by one, checked by SHA-256, put in place whole or not at all."""

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from shared.errors import KizashiError, reason

TRIES = 4
TIMEOUT_S = 30
_FETCHING = ".fetching-"


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of the lock."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"


def read_lock(path: Path) -> list[Jar]:
    """The jars in the lock's order, which is also the class path's. Raises KizashiError for a faulty line."""
    jars = []
    for line in path.read_text(encoding="utf-8").splitlines():
        coordinate, _, digest = line.partition(" ")
        parts = coordinate.split(":")
        if len(parts) != 3 or len(digest) != 64:
            raise KizashiError(f"{path}: expected `group:artifact:version sha256`, found {line!r}")
        jars.append(Jar(parts[0], parts[1], parts[2], digest))
    return jars


def faulty(jars: list[Jar], libs: Path) -> list[Jar]:
    """Those that are missing, cut short or altered."""
    return [jar for jar in jars if _digest(libs / jar.file_name) != jar.sha256]


def fetch(
    jars: list[Jar],
    libs: Path,
    progress: Callable[[int, int], None],
    repositories: Mapping[str, str] | None = None,
) -> int:
    """Bring `libs` to what the lock says and return how many jars came anew.

    `progress` gets how many are in place, of how many. `repositories` (name to URL) replaces the public one. What an
    earlier, interrupted fetch left behind is removed. Raises KizashiError when a jar cannot be had, or is another one
    than the lock's.
    """
    libs.mkdir(parents=True, exist_ok=True)
    for leftover in libs.glob(f"{_FETCHING}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    wanted = faulty(jars, libs)
    progress(len(jars) - len(wanted), len(jars))
    with tempfile.TemporaryDirectory(prefix=_FETCHING, dir=libs) as scratch:
        # One after the other: several at a time are slower, the public repository answers them with "too many".
        for count, jar in enumerate(wanted, start=1):
            _fetch_checked(jar, libs, Path(scratch), repositories)
            progress(len(jars) - len(wanted) + count, len(jars))
    return len(wanted)


def _fetch_checked(jar: Jar, libs: Path, scratch: Path, repositories: Mapping[str, str] | None) -> None:
    problem = ""
    for attempt in range(TRIES):
        if attempt:
            time.sleep(0.5 * 2**attempt)
        # A cache of its own for each try: the resolver takes whatever lies in its cache for whole.
        try:
            file = _download(jar, Path(tempfile.mkdtemp(dir=scratch)), repositories)
        except (RuntimeError, ValueError, OSError) as error:  # the HTTP client's errors are OSErrors
            problem = reason(error)
            continue
        if file is not None and _digest(file) == jar.sha256:
            file.replace(libs / jar.file_name)
            return
        problem = "no such file" if file is None else "the content is not what the lock file says"
    raise KizashiError(f"cannot fetch {jar.group}:{jar.artifact}:{jar.version}: {problem}")


def _download(jar: Jar, cache: Path, repositories: Mapping[str, str] | None) -> Path | None:
    try:
        from jgo.maven import MavenContext  # noqa: PLC0415 - 0.4 s that only a fetch pays
    except ImportError:
        raise KizashiError("the packages of the local stack are missing; run `make setup`") from None
    _trust_what_pip_trusts()
    context = MavenContext(
        repo_cache=cache, local_repos=[], remote_repos=dict(repositories) if repositories else None, timeout=TIMEOUT_S
    )
    path = context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()
    return Path(path) if path else None


def _trust_what_pip_trusts() -> None:
    """Behind a company's proxy the packages came by its certificate; the client here has a variable of its own."""
    bundle = os.environ.get("SSL_CERT_FILE") or os.environ.get("PIP_CERT")
    if bundle:
        os.environ.setdefault("REQUESTS_CA_BUNDLE", bundle)


def _digest(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
