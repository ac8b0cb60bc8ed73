"""CSV files in a folder, whole or not at all."""

import asyncio
import csv
import io
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from services.handoff.core.cells import cell
from services.handoff.core.destination import FolderSpec
from services.handoff.core.rows import COLUMNS, row_of
from services.handoff.core.words import WORDS
from services.handoff.destinations.base import Parcel, Report

CODECS = {"utf-8": "utf-8-sig", "cp932": "cp932"}
CHUNK = 1_000


class FolderChannel:
    """One folder; a file per lead, or per run where the leads are collected. The same delivery is the same file."""

    def __init__(self, spec: FolderSpec, exports: Path) -> None:
        self._spec = spec
        self._folder = exports / spec.folder

    async def send(self, parcel: Parcel, now: datetime) -> Report:  # noqa: ARG002 - a file needs no clock
        """See Channel."""
        name = f"{_plain(parcel.time[:10])}-{_plain(str(parcel.data.get('rule')))}-{parcel.delivery_id.hex[:12]}.csv"
        request = {"method": "WRITE", "file": f"{self._spec.folder}/{name}", "encoding": self._spec.encoding}
        leads = parcel.run.all() if parcel.run else _one(parcel.data)
        try:
            rows = await self._write(self._folder / name, leads)
        except OSError as error:
            return Report(request, problem=f"the file could not be written: {error.strerror or type(error).__name__}")
        return Report(request, {"status": "written", "rows": rows})

    async def aclose(self) -> None:
        """See Channel."""

    async def _write(self, path: Path, leads: AsyncIterator[Mapping[str, Any]]) -> int:
        words = WORDS[self._spec.language]
        partial = path.with_name(f".{path.name}.partial")
        await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
        rows, buffered = 0, [[words.get(name, name) for name in COLUMNS]]
        file = await asyncio.to_thread(partial.open, "wb")
        codec = CODECS[self._spec.encoding]
        try:
            async for lead in leads:
                buffered.append([cell(value) for value in row_of(lead)])
                rows += 1
                if len(buffered) >= CHUNK:
                    await asyncio.to_thread(file.write, _encoded(buffered, codec))
                    buffered, codec = [], codec.removesuffix("-sig")
            await asyncio.to_thread(file.write, _encoded(buffered, codec))
            await asyncio.to_thread(_sync, file.fileno)
        finally:
            file.close()
        await asyncio.to_thread(os.replace, partial, path)
        return rows


def _encoded(rows: Sequence[Sequence[str]], codec: str) -> bytes:
    """Lines with CRLF; what CP932 does not have becomes a question mark."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode(codec, "replace")


def _sync(descriptor: Any) -> None:
    number = descriptor()
    os.fsync(number)


def _plain(text: str) -> str:
    """A text as part of a file's name."""
    return "".join(char if char.isascii() and (char.isalnum() or char in "-_") else "_" for char in text)[:60]


async def _one(lead: Mapping[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
    yield lead
