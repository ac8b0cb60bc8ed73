"""Jars come whole or not at all, whatever happened before; the public repository is played by a folder."""

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deploy.local import jars
from deploy.local.jars import Jar, fetch
from shared.errors import KizashiError


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        """Silent."""


@dataclass(frozen=True, slots=True)
class Repository:
    folder: Path
    urls: dict[str, str]

    def publish(self, name: str, content: bytes) -> Jar:
        path = self.folder / "org" / "example" / name / "1.0" / f"{name}-1.0.jar"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        return Jar("org.example", name, "1.0", hashlib.sha256(content).hexdigest())

    def withdraw(self, name: str) -> None:
        (self.folder / "org" / "example" / name / "1.0" / f"{name}-1.0.jar").unlink()


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    folder = tmp_path / "repository"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Repository(folder, {"here": f"http://127.0.0.1:{server.server_port}"})
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jars, "TRIES", 1)


def silent(done: int, total: int) -> None:
    assert 0 <= done <= total


def test_a_second_fetch_has_nothing_to_do(repository: Repository, tmp_path: Path) -> None:
    wanted = [repository.publish(name, name.encode() * 1000) for name in ("one", "two")]
    assert fetch(wanted, tmp_path / "libs", silent, repository.urls) == 2
    repository.withdraw("one")
    assert fetch(wanted, tmp_path / "libs", silent, repository.urls) == 0


@pytest.mark.parametrize("damaged", [b"", b"one" * 500, b"xyz" * 1000], ids=["empty", "cut short", "altered"])
def test_a_damaged_jar_is_fetched_again_and_no_other(repository: Repository, tmp_path: Path, damaged: bytes) -> None:
    wanted = [repository.publish(name, name.encode() * 1000) for name in ("one", "two")]
    libs = tmp_path / "libs"
    fetch(wanted, libs, silent, repository.urls)
    (libs / "one-1.0.jar").write_bytes(damaged)
    assert fetch(wanted, libs, silent, repository.urls) == 1
    assert (libs / "one-1.0.jar").read_bytes() == b"one" * 1000


def test_what_an_interrupted_fetch_left_is_removed(repository: Repository, tmp_path: Path) -> None:
    wanted = [repository.publish(name, name.encode() * 1000) for name in ("one", "two")]
    libs = tmp_path / "libs"

    def interrupt(done: int, total: int) -> None:
        if done == 1:
            half = next(libs.glob(".fetching-*")) / "half" / "two-1.0.jar"
            half.parent.mkdir()
            half.write_bytes(b"two")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(wanted, libs, interrupt, repository.urls)
    # A kill leaves the scratch folder too, as no clean-up runs.
    (libs / ".fetching-killed").mkdir()
    assert sorted(path.name for path in libs.glob("*.jar")) == ["one-1.0.jar"]
    assert fetch(wanted, libs, silent, repository.urls) == 1
    assert sorted(path.name for path in libs.iterdir()) == ["one-1.0.jar", "two-1.0.jar"]


def test_another_content_than_the_lock_says_is_refused(repository: Repository, tmp_path: Path) -> None:
    good = repository.publish("one", b"one" * 1000)
    forged = Jar(good.group, good.artifact, good.version, "0" * 64)
    with pytest.raises(KizashiError, match="not what the lock file says"):
        fetch([forged], tmp_path / "libs", silent, repository.urls)
    assert list((tmp_path / "libs").iterdir()) == []


def test_a_jar_that_is_not_there_is_named(repository: Repository, tmp_path: Path) -> None:
    with pytest.raises(KizashiError, match=r"cannot fetch org\.example:none:1\.0"):
        fetch([Jar("org.example", "none", "1.0", "0" * 64)], tmp_path / "libs", silent, repository.urls)
