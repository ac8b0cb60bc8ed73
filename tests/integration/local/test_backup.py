"""A backup that does not come about."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from deploy.local.backup import back_up
from deploy.local.paths import DataFolder
from shared.errors import KizashiError
from tests.integration.local.waiting import wait_for


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that lets everybody in and never says a word, as one that hangs."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_database_that_hangs_ends_it_with_the_reason_and_leaves_nothing(
    tmp_path: Path, silent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.local.backup.CONNECT_LIMIT_S", 2)
    data, folder = DataFolder.at(tmp_path / "data"), tmp_path / "backup"
    with ThreadPoolExecutor(1) as pool:
        ends = pool.submit(back_up, data, f"postgresql://u:s3cret@127.0.0.1:{silent}/kizashi", folder)
        wait_for(lambda: "pg_dump" in "".join(process.name() for process in psutil.Process().children()))
        (dump,) = (process for process in psutil.Process().children() if process.name() == "pg_dump")
        # Everybody may read the arguments, its owner alone the environment.
        assert "s3cret" not in " ".join(dump.cmdline())
        assert dump.environ()["PGPASSWORD"] == "s3cret"
        with pytest.raises(KizashiError, match=r"pg_dump failed: .*timeout expired"):
            ends.result(timeout=20)
    assert list(folder.iterdir()) == []


def test_where_something_cannot_be_copied_nothing_is_left(tmp_path: Path, database: str) -> None:
    data, folder = DataFolder.at(tmp_path / "data"), tmp_path / "backup"
    data.path.mkdir()
    (data.path / "keys.json").mkdir()
    for _ in range(2):
        with pytest.raises(IsADirectoryError):
            back_up(data, database, folder)
        assert list(folder.iterdir()) == []
