"""The spool's files: written at the end, read from the front, taken over from workers that died.

    <root>/lock                    held while folders are made or looked for
    <root>/<worker>/lock           held by the living worker for as long as it lives
    <root>/<worker>/00000001.frames
    <root>/<worker>/00000001.damaged

Every call here may block on the disk; they are made one after another, from one thread.
"""

import fcntl
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from services.ingest.durable import OutgoingRecord
from services.ingest.spool.frames import Damage, read_from

SEGMENT_BYTES = 16 * 1_048_576
"""Beyond this a new file begins, so that what was drained gives its room back."""

log = structlog.get_logger()


@dataclass(eq=False, slots=True)
class Segment:
    """One file: `size` bytes are durable, those before `drained` are in Kafka."""

    path: Path
    size: int = 0
    drained: int = 0
    damaged: bool = False


@dataclass(slots=True)
class Reading:
    """The oldest requests, in order, and how far into which file they reach."""

    requests: list[list[OutgoingRecord]] = field(default_factory=list)
    reached: list[tuple[Segment, int]] = field(default_factory=list)


class Files:
    """All files that this worker drains: those of dead workers first, then its own."""

    def __init__(self, root: Path, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._root = root
        self._segment_bytes = segment_bytes
        self._segments: deque[Segment] = deque()
        self._locks: dict[Path, int] = {}
        self._own: Path | None = None
        self._writing: tuple[Segment, int] | None = None
        self._made = 0

    @property
    def waiting_bytes(self) -> int:
        """How many bytes are not in Kafka yet."""
        return sum(segment.size - segment.drained for segment in self._segments)

    def adopt(self) -> None:
        """Take over what dead workers left, and make sure of a folder of one's own. Raises OSError."""
        with _locked(self._root):
            left = [found for folder in sorted(self._root.iterdir()) for found in self._take_over(folder)]
            self._segments.extendleft(reversed(left))
            if self._own is None:
                own = self._root / f"{time.time_ns():020d}-{os.getpid()}"
                own.mkdir(mode=0o700)
                self._locks[own] = _lock(own)
                self._own = own
                _sync_folder(self._root)
        for segment in left:
            log.info("spool_adopted", file=str(segment.path), bytes=segment.size)

    def write(self, frames: Sequence[bytes]) -> None:
        """Append `frames`, all of them durable on return. Raises OSError; then none of them counts as kept."""
        segment, descriptor = self._writing or self._begin()
        try:
            _write_all(descriptor, b"".join(frames))
            os.fdatasync(descriptor)
        except OSError:
            self._end(segment, descriptor)
            raise
        segment.size += sum(map(len, frames))
        if segment.size >= self._segment_bytes:
            self._close()

    def read(self, budget: int) -> Reading:
        """The oldest requests, about `budget` bytes of them and at least one if there is any. Raises OSError."""
        reading = Reading()
        for segment in self._segments:
            if budget <= 0:
                break
            reached = segment.drained
            with segment.path.open("rb") as file:
                for found in read_from(file, segment.drained, segment.size):
                    budget -= found.end - reached
                    reached = found.end
                    if isinstance(found, Damage):
                        self._report(segment, found)
                    else:
                        reading.requests.append(found.records)
                    if budget <= 0:
                        break
            reading.reached.append((segment, reached))
        return reading

    def done(self, reading: Reading) -> None:
        """Kafka has what `reading` brought: what is drained to its end is removed. Raises OSError."""
        for segment, reached in reading.reached:
            segment.drained = reached
            if reached == segment.size:
                self._remove(segment)

    def close(self) -> None:
        """Leave what still waits to the next worker. Raises OSError."""
        self._close()
        if self._locks:
            with _locked(self._root):
                for folder in list(self._locks):
                    self._leave(folder)
        self._segments.clear()
        self._own = None

    def _take_over(self, folder: Path) -> list[Segment]:
        if folder in self._locks or not folder.is_dir():
            return []
        descriptor = _lock(folder)
        if descriptor < 0:
            return []
        self._locks[folder] = descriptor
        found = [Segment(path, path.stat().st_size) for path in sorted(folder.glob("*.frames"))]
        filled = [segment for segment in found if segment.size]
        for segment in found:
            if not segment.size:
                segment.path.unlink()
        if not filled:
            self._leave(folder)
        return filled

    def _begin(self) -> tuple[Segment, int]:
        if self._own is None:
            self.adopt()
        assert self._own is not None
        self._made += 1
        path = self._own / f"{self._made:08d}.frames"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            _sync_folder(self._own)
        except OSError:
            os.close(descriptor)
            path.unlink()
            raise
        segment = Segment(path)
        self._writing = segment, descriptor
        self._segments.append(segment)
        return self._writing

    def _end(self, segment: Segment, descriptor: int) -> None:
        """After a failed write: what came after the last durable byte is taken back, and the file is left alone."""
        self._writing = None
        try:
            os.ftruncate(descriptor, segment.size)
        except OSError as error:
            log.warning("spool_not_truncated", file=str(segment.path), error=str(error))
        os.close(descriptor)
        if not segment.size:
            self._remove(segment)

    def _close(self) -> None:
        if self._writing is not None:
            os.close(self._writing[1])
            self._writing = None

    def _remove(self, segment: Segment) -> None:
        if self._writing is not None and self._writing[0] is segment:
            self._close()
        if segment.damaged:
            segment.path.rename(segment.path.with_suffix(".damaged"))
        else:
            segment.path.unlink()
        self._segments.remove(segment)
        folder = segment.path.parent
        if folder != self._own and all(other.path.parent != folder for other in self._segments):
            with _locked(self._root):
                self._leave(folder)

    def _leave(self, folder: Path) -> None:
        """Give the folder up; it goes if nothing is left in it. With the root's lock, or somebody who looks for folders
        could find this one half gone.
        """
        if not any(path.name != "lock" for path in folder.iterdir()):
            (folder / "lock").unlink()
            folder.rmdir()
        os.close(self._locks.pop(folder))

    @staticmethod
    def _report(segment: Segment, damage: Damage) -> None:
        where = {"file": str(segment.path), "from_byte": damage.start, "to_byte": damage.end}
        if damage.torn:
            log.info("spool_torn_end", **where)
            return
        segment.damaged = True
        log.error("spool_damaged", kept_as=segment.path.with_suffix(".damaged").name, **where)


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _lock(folder: Path) -> int:
    """The descriptor that holds the folder's lock, -1 if a living worker holds it."""
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return -1
    return descriptor


def _sync_folder(folder: Path) -> None:
    """Make a new entry of the folder durable; the file's own sync does not."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
