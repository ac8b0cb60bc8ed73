"""A suffering stack under load, for tests that choose their faults themselves."""

import asyncio
import os
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from deploy.chaos.books import read_books, spool_files
from deploy.chaos.checker import check, expect
from deploy.chaos.load import Load, wave
from deploy.chaos.settling import until_delivered
from deploy.chaos.stack import SufferingStack, suffering_stack
from deploy.demo.watching import Watcher
from deploy.local.report import Silent
from deploy.local.services import service_env
from shared.settings import Settings, load

SEED = 5


@pytest.fixture
def stack() -> Iterator[SufferingStack]:
    with tempfile.TemporaryDirectory(prefix="kizashi-chaos-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        folder.chmod(0o711)
        with suffering_stack(folder, Silent(), seed=SEED) as started:
            yield started


@asynccontextmanager
async def under_load(stack: SufferingStack, per_second: float, at_least: int) -> AsyncIterator[Load]:
    """Load while the body runs; then the books, which must be right."""
    now = stack.state
    settings = load(Settings, service_env(os.environ, stack.data, now.addresses, now.config_dir, 1))
    sent = Load(
        url=now.addresses.services["ingest"],
        key=stack.data.cli_key.read_text(encoding="ascii").strip(),
        kafka=settings.kafka,
        seed=SEED,
        per_second=per_second,
        at_least=at_least,
        on_progress=lambda _: None,
    )
    sender = threading.Thread(target=sent.run)
    sender.start()
    try:
        yield sent
    finally:
        sent.stop.set()
        await asyncio.to_thread(sender.join)
    assert sent.error is None
    expected = [expect(wave(SEED, number)) for number in range(sent.waves)]
    async with Watcher(settings) as watcher:
        await watcher.until_counted(sum(one.activities for one in expected), lambda _: None)
        await watcher.until_handed_over(0)
    assert await until_delivered(stack, settings.database.url.get_secret_value())
    books = await read_books(settings.kafka, settings.database.url.get_secret_value(), stack.receiver.seen)
    books.left["files in the spool"] = spool_files(stack.data.path / "spool")
    assert check(books, expected, sent.broken, sent.doubtful) == []
