"""A disk that takes a write and does not come back from it for long."""

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from services.ingest.durable import NotDurable
from services.ingest.spool.files import Files
from services.ingest.spool.spool import Spool
from shared.background import running
from tests.integration.ingest.spool.test_files import request

LIMIT_S = 0.2


async def test_a_request_is_refused_in_time_and_the_next_one_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick, going_on = threading.Event(), Files.write

    def write(files: Files, frames: Sequence[bytes]) -> None:
        assert quick.wait(30)
        going_on(files, frames)

    monkeypatch.setattr(Files, "write", write)
    spool = Spool(tmp_path, 1_000_000, LIMIT_S)
    await spool.open()
    async with running(spool.run):
        with pytest.raises(NotDurable, match="too slow"):
            await spool.append(request("first"))
        assert spool.fault == "the disk is too slow"
        quick.set()
        await _kept(spool, "second")
        assert spool.fault is None
        found = await spool.read(1_000_000)
    # The first one may come too: its sender was told that nobody knows, and its id counts once.
    assert list(dict.fromkeys(records[0].key for records in found.requests)) == [b"first", b"second"]
    await spool.close()


async def _kept(spool: Spool, name: str) -> None:
    """Behind the write that hung, so that more than one try may be needed."""
    for _ in range(50):
        try:
            await spool.append(request(name))
        except NotDurable:
            continue
        return
    pytest.fail("the disk is quick again, but nothing is kept")
