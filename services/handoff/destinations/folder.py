"""CSV files in a folder, whole or not at all."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from services.handoff.core.destination import FolderSpec
from services.handoff.core.rows import COLUMNS, event_cells
from services.handoff.destinations.base import Parcel, Report
from shared.spreadsheet import Cell, Encoding, header, lines

CHUNK = 1_000
WITH_MARK: Mapping[str, Encoding] = {"utf-8": "utf-8-sig", "cp932": "cp932"}


class FolderChannel:
    """One folder; a file per lead, or per run where the leads are collected. The same delivery is the same file."""

    def __init__(self, spec: FolderSpec, exports: Path) -> None:
        self._encoding = WITH_MARK[spec.encoding]
        self._name = spec.folder
        self._folder = exports / spec.folder

    async def send(self, parcel: Parcel, now: datetime) -> Report:  # noqa: ARG002 - a file needs no clock
        """See Channel."""
        name = f"{_plain(parcel.time[:10])}-{_plain(str(parcel.data.get('rule')))}-{parcel.delivery_id.hex[:12]}.csv"
        # Whatever takes files from here by their names shall not take the sample for a lead.
        name = f"test-{name}" if parcel.test else name
        request = {"method": "WRITE", "file": f"{self._name}/{name}", "encoding": self._encoding}
        leads = parcel.run.all() if parcel.run else _one(parcel.data)
        try:
            rows = await self._write(self._folder / name, leads)
        except OSError as error:
            return Report(request, problem=f"the file could not be written: {error.strerror or type(error).__name__}")
        return Report(request, {"status": "written", "rows": rows})

    async def aclose(self) -> None:
        """See Channel."""

    async def _write(self, path: Path, leads: AsyncIterator[Mapping[str, Any]]) -> int:
        """Beside it first, so that nobody reads half a file."""
        partial = path.with_name(f".{path.name}.partial")
        await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
        file = await asyncio.to_thread(partial.open, "wb")
        try:
            rows = await self._fill(file, leads)
            await asyncio.to_thread(_sync, file)
        finally:
            file.close()
        await asyncio.to_thread(os.replace, partial, path)
        return rows

    async def _fill(self, file: BinaryIO, leads: AsyncIterator[Mapping[str, Any]]) -> int:
        rows, waiting = 0, list[Sequence[Cell]]()
        file.write(header(COLUMNS, self._encoding))
        async for lead in leads:
            waiting.append(event_cells(lead))
            rows += 1
            if len(waiting) >= CHUNK:
                await asyncio.to_thread(file.write, lines(waiting, self._encoding))
                waiting = []
        file.write(lines(waiting, self._encoding))
        return rows


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _plain(text: str) -> str:
    """A text as part of a file's name."""
    return "".join(char if char.isascii() and (char.isalnum() or char in "-_") else "_" for char in text)[:60]


async def _one(lead: Mapping[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
    yield lead
