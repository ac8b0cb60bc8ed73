"""What can go wrong with a machine or a set-up, checked one by one, each with what to do about it."""

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from deploy.local import ports
from deploy.local.end import is_running
from deploy.local.jars import faulty, read_lock
from deploy.local.kafka import AOT_CACHE, java
from deploy.local.leftovers import find_leftovers
from deploy.local.paths import KAFKA_LOCK, LIBS, ROOT, DataFolder
from deploy.local.postgres import binary
from deploy.local.privileges import choose_privileges
from shared.errors import KizashiError

Level = Literal["ok", "warn", "fail"]
_MIB = 1024 * 1024
MEMORY_WANTED = 1024 * _MIB
MEMORY_NEEDED = 600 * _MIB
DISK_WANTED = 2048 * _MIB
DISK_NEEDED = 300 * _MIB
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
_CGROUP_USED = Path("/sys/fs/cgroup/memory.current")


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check; `advice` is empty where all is well."""

    check: str
    level: Level
    detail: str
    advice: str = ""


def run_checks(data: DataFolder) -> Iterator[Finding]:
    """All checks, each as soon as it is known."""
    yield _python()
    yield _system()
    yield _amount("memory", available_memory(), MEMORY_WANTED, MEMORY_NEEDED, "close other programs")
    yield _amount(
        "disk", _free_disk(data.path), DISK_WANTED, DISK_NEEDED, "free some space, or choose another --data-dir"
    )
    yield _data_folder(data)
    yield _jars()
    yield _found("java", java)
    yield _found("postgresql", lambda: binary("postgres"))
    yield _privileges(data)
    yield _leftovers(data)
    yield _ports(data)
    yield _configuration()


def available_memory() -> int:
    """Bytes that can still be used: of the machine, or of the container where that is less."""
    available = psutil.virtual_memory().available
    try:
        limit, used = (path.read_text(encoding="ascii").strip() for path in (_CGROUP_LIMIT, _CGROUP_USED))
        return available if limit == "max" else min(available, int(limit) - int(used))
    except (OSError, ValueError):
        return available


def _python() -> Finding:
    detail = f"{platform.python_version()} ({sys.executable})"
    if sys.prefix == sys.base_prefix:
        return Finding("python", "warn", detail, "not the project's own environment: use .venv/bin/kizashi")
    return Finding("python", "ok", detail)


def _system() -> Finding:
    name = f"{platform.system()} {platform.machine()} {platform.libc_ver()[0]}".strip()
    if platform.system() == "Linux" and platform.libc_ver()[0] != "glibc":
        return Finding("system", "fail", name, "the servers need glibc (not musl, as on Alpine): take another system")
    if platform.system() not in {"Linux", "Darwin"}:
        return Finding("system", "fail", name, "Linux or macOS is needed; on Windows use WSL")
    return Finding("system", "ok", name)


def _amount(check: str, available: int, wanted: int, needed: int, advice: str) -> Finding:
    level: Level = "ok" if available >= wanted else "warn" if available >= needed else "fail"
    detail = f"{available // _MIB} MiB free"
    return Finding(check, level, detail, "" if level == "ok" else f"{advice}; {wanted // _MIB} MiB are comfortable")


def _free_disk(path: Path) -> int:
    return shutil.disk_usage(_nearest(path)).free


def _nearest(path: Path) -> Path:
    """The path itself or the first folder above it that exists."""
    return next(each for each in (path, *path.parents) if each.exists())


def _data_folder(data: DataFolder) -> Finding:
    place = _nearest(data.path)
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        return Finding("data folder", "fail", f"{data.path} cannot be written", "choose another --data-dir")
    return Finding("data folder", "ok", str(data.path))


def _jars() -> Finding:
    jars = read_lock(KAFKA_LOCK)
    wrong = faulty(jars, LIBS)
    if wrong:
        detail = f"{len(wrong)} of {len(jars)} jars missing or damaged, such as {wrong[0].file_name}"
        return Finding("kafka", "fail", detail, "run `make setup`")
    if not (LIBS / AOT_CACHE).exists():
        return Finding("kafka", "warn", f"{len(jars)} jars, no quick start", "run `make setup`")
    return Finding("kafka", "ok", f"{len(jars)} jars as locked")


def _found(check: str, find: Callable[[], str]) -> Finding:
    try:
        return Finding(check, "ok", find())
    except KizashiError as error:
        return Finding(check, "fail", str(error), "run `make setup`")


def _privileges(data: DataFolder) -> Finding:
    if os.geteuid() != 0:
        return Finding("user", "ok", "an ordinary user")
    try:
        chosen = choose_privileges(_nearest(data.path), binary("postgres"))
    except KizashiError as error:
        return Finding("user", "fail", "root", str(error))
    return Finding("user", "ok", f"root; PostgreSQL runs with {' '.join(chosen.options)}")


def _leftovers(data: DataFolder) -> Finding:
    if is_running(data):
        return Finding("stack", "ok", "running")
    left = find_leftovers(data)
    if left:
        pids = ", ".join(str(process.pid) for process in left)
        return Finding("stack", "warn", f"not running, but processes {pids} are left over", "run `kizashi down`")
    return Finding("stack", "ok", "not running")


def _ports(data: DataFolder) -> Finding:
    block = ports.kept_block(data.ports) or ports.PortBlock(ports.DEFAULT_BASE)
    span = f"{block.base} to {block.all[-1]}"
    taken = [] if is_running(data) else ports.taken_ports(block)
    if taken:
        advice = "nothing to do: the next start takes the next free block and says so"
        return Finding("ports", "warn", f"of {span}, taken by others: {', '.join(map(str, taken))}", advice)
    return Finding("ports", "ok", span)


def _configuration() -> Finding:
    from deploy.local.configured import faults  # noqa: PLC0415 - a second, which the other checks need not wait for

    config_dir = Path(os.environ.get("KIZASHI_CONFIG_DIR") or ROOT / "config")
    found = list(faults(config_dir, os.environ))
    if found:
        return Finding("settings", "fail", "; ".join(found), "correct it; nothing starts with it")
    return Finding("settings", "ok", f"settings and the files of {config_dir} can be read")
