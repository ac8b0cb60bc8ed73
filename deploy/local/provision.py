"""Sets up what the local stack needs beyond Python packages: Kafka's jars and the JDK's cache of their classes.

`python -m deploy.local.provision`, the second half of `make setup`. Safe to interrupt and to repeat.
"""

import fcntl
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from deploy.local import ports
from deploy.local.jars import fetch, read_lock
from deploy.local.kafka import AOT_CACHE, JVM_FLAGS, KafkaProgram, java
from deploy.local.paths import KAFKA_LOCK, LIBS
from deploy.local.report import Report, for_stderr
from shared.errors import KizashiError

STAMP = "complete.json"


def provisioned(libs: Path = LIBS) -> bool:
    """Whether everything is in place, told in milliseconds: by the stamp and the jars' sizes."""
    try:
        stamp = json.loads((libs / STAMP).read_text(encoding="utf-8"))
        sizes_fit = all((libs / name).stat().st_size == size for name, size in stamp["sizes"].items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    return sizes_fit and stamp.get("inputs") == _inputs()


def provision(report: Report, libs: Path = LIBS) -> None:
    """Fetch and train what is missing. Raises KizashiError when a jar cannot be had."""
    if provisioned(libs):
        return
    libs.mkdir(parents=True, exist_ok=True)
    with _alone(libs / ".lock"):
        if provisioned(libs):
            return
        jars = read_lock(KAFKA_LOCK)
        with report.part("Kafka", "fetching the jars", len(jars)) as part:
            fetch(jars, libs, part.advance)
        for old in set(libs.glob("*.jar")) - {libs / jar.file_name for jar in jars}:
            old.unlink()
        with report.part("Kafka", "preparing a quick start") as part:
            try:
                _train(libs)
            except (KizashiError, OSError) as error:
                part.note(f"left out ({error}); Kafka will take a second longer to start")
        _write_stamp(libs)


def main(arguments: Sequence[str]) -> int:
    """The command. With `--check` it does nothing, and fails where something would have to be done."""
    if "--check" in arguments:
        return 0 if provisioned() else 1
    try:
        provision(for_stderr(plain=True))
    except KizashiError as error:
        print(f"kizashi: {error}", file=sys.stderr)
        return 1
    return 0


def _train(libs: Path) -> None:
    cache = libs / AOT_CACHE
    cache.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix=".training-", dir=libs) as scratch:
        block = ports.free_block()
        program = KafkaProgram(Path(scratch) / "kafka", block.kafka, block.controller, libs=libs)
        draft = Path(scratch) / AOT_CACHE
        program.train(draft)
        draft.replace(cache)


def _inputs() -> str:
    """What the cache depends on: the jars, the JVM and its flags, and where the jars lie."""
    text = "\n".join([KAFKA_LOCK.read_text(encoding="utf-8"), *JVM_FLAGS, java(), str(LIBS), _release()])
    return hashlib.sha256(text.encode()).hexdigest()


def _release() -> str:
    release = Path(java()).parents[1] / "release"
    return release.read_text(encoding="utf-8") if release.exists() else ""


def _write_stamp(libs: Path) -> None:
    names = [jar.file_name for jar in read_lock(KAFKA_LOCK)]
    names += [AOT_CACHE] if (libs / AOT_CACHE).exists() else []
    stamp = {"inputs": _inputs(), "sizes": {name: (libs / name).stat().st_size for name in names}}
    draft = libs / f"{STAMP}.new"
    draft.write_text(json.dumps(stamp, indent=1), encoding="utf-8")
    draft.replace(libs / STAMP)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One set-up at a time; what a dead one left behind is removed."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        for leftover in path.parent.glob(".training-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        yield
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
