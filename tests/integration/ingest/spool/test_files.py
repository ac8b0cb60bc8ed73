"""The spool's files on a real disk: order, room given back, deaths, full disks, other workers."""

import multiprocessing
import resource
import signal
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from services.ingest.durable import OutgoingRecord
from services.ingest.spool.files import Files
from services.ingest.spool.frames import pack


def request(name: str, size: int = 10) -> list[OutgoingRecord]:
    return [OutgoingRecord("lead-activities", name.encode(), b"x" * size, [("ce_id", name.encode())], size)]


def frames(*names: str) -> list[bytes]:
    return [pack(request(name)) for name in names]


def drain(files: Files, budget: int = 1_000_000) -> list[str]:
    """Take everything out, in the order in which it is given."""
    names: list[str] = []
    while files.waiting_bytes:
        reading = files.read(budget)
        names.extend(records[0].key.decode() for records in reading.requests)
        files.done(reading)
    return names


def left_in(root: Path) -> list[str]:
    return sorted(path.name for path in root.rglob("*") if path.is_file() and path.name != "lock")


@pytest.fixture
def files(tmp_path: Path) -> Files:
    files = Files(tmp_path, segment_bytes=400)
    files.adopt()
    return files


def test_requests_come_back_in_order_over_many_files_and_leave_nothing(files: Files, tmp_path: Path) -> None:
    names = [f"lead-{number}" for number in range(50)]
    for start in range(0, 50, 3):
        files.write(frames(*names[start : start + 3]))
    assert len(left_in(tmp_path)) > 5
    assert drain(files, budget=300) == names
    assert left_in(tmp_path) == []
    files.write(frames("later"))
    assert drain(files) == ["later"]


def test_what_was_read_but_not_confirmed_is_read_again(files: Files) -> None:
    files.write(frames("a", "b"))
    assert [one[0].key for one in files.read(1_000).requests] == [b"a", b"b"]
    files.write(frames("c"))
    assert drain(files) == ["a", "b", "c"]


def test_one_request_larger_than_the_budget_is_read(files: Files) -> None:
    files.write([pack(request("large", 5_000))])
    assert drain(files, budget=100) == ["large"]


def test_the_next_worker_continues_where_the_last_one_left(tmp_path: Path) -> None:
    first = Files(tmp_path)
    first.write(frames("a", "b"))
    first.close()
    second = Files(tmp_path)
    second.adopt()
    second.write(frames("c"))
    assert drain(second) == ["a", "b", "c"]
    second.close()
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def _write_and_wait(root: Path, name: str, written: Event) -> None:
    files = Files(root)
    files.write(frames(name))
    written.set()
    signal.pause()


def test_a_living_workers_files_are_its_own_until_it_is_killed(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    written = context.Event()
    worker = context.Process(target=_write_and_wait, args=(tmp_path, "orphan", written))
    worker.start()
    try:
        assert written.wait(30)
        files = Files(tmp_path)
        files.adopt()
        assert files.waiting_bytes == 0
    finally:
        worker.kill()
        worker.join()
    files.adopt()
    assert drain(files) == ["orphan"]


def test_a_frame_torn_by_a_death_is_dropped_and_a_damaged_one_is_kept_aside(tmp_path: Path) -> None:
    folder = tmp_path / "00000000000000000001-1"
    folder.mkdir(parents=True)
    whole = b"".join(frames("a", "b"))
    (folder / "00000001.frames").write_bytes(whole + frames("torn")[0][:-3])
    broken = bytearray(b"".join(frames("c", "d", "e")))
    broken[len(frames("c")[0]) + 20] ^= 1
    (folder / "00000002.frames").write_bytes(broken)
    files = Files(tmp_path)
    files.adopt()
    assert drain(files) == ["a", "b", "c", "e"]
    assert left_in(tmp_path) == ["00000002.damaged"]
    assert (folder / "00000002.damaged").read_bytes() == broken


def test_a_full_disk_keeps_what_was_written_and_nothing_of_what_was_refused(files: Files) -> None:
    files.write(frames("kept"))
    before, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (120, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            files.write([pack(request("refused", 1_000))])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    files.write(frames("after"))
    assert drain(files) == ["kept", "after"]


def test_workers_that_come_and_go_at_once_lose_nothing_and_fail_at_nothing(tmp_path: Path) -> None:
    def works(worker: int) -> list[str]:
        found: list[str] = []
        for turn in range(150):
            files = Files(tmp_path)
            files.adopt()
            if turn % 3:
                files.write(frames(f"{worker}-{turn}"))
            if turn % 2:
                found += drain(files)
            files.close()
        return found

    with ThreadPoolExecutor(3) as pool:
        found = [name for names in pool.map(works, range(3)) for name in names]
    last = Files(tmp_path)
    last.adopt()
    found += drain(last)
    last.close()
    assert sorted(found) == sorted(f"{worker}-{turn}" for worker in range(3) for turn in range(150) if turn % 3)
    assert list(tmp_path.iterdir()) == [tmp_path / "lock"]
