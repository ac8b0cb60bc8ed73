"""Backup of a stack: the database as a dump, and the files without which its leads would have other names.

Kafka needs no backup for this: it holds what came after, and the restored database reads on from where it stood.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from deploy.local.paths import DataFolder
from deploy.local.postgres import binary
from shared.errors import KizashiError

DUMP = "kizashi.dump"
FILES = ("keys.json", "secrets/identity_secret", "secrets/cli_key")
"""What belongs to the database, in the data folder: hashes of keys, the secret that lead ids are made with."""


def back_up(data: DataFolder, database_url: str, folder: Path) -> Path:
    """Write a backup to a new folder; the services may run meanwhile. Returns the dump.

    Raises KizashiError where the folder holds something, or pg_dump fails.
    """
    if folder.exists() and any(folder.iterdir()):
        raise KizashiError(f"{folder} is not empty; a backup goes into a folder of its own")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = folder / f"{DUMP}.new"
    _run([binary("pg_dump"), "--format=custom", "--no-owner", f"--file={draft}", database_url])
    for name in FILES:
        if (data.path / name).exists():
            (folder / name).parent.mkdir(mode=0o700, exist_ok=True)
            shutil.copy2(data.path / name, folder / name)
    with draft.open("rb") as file:
        os.fsync(file.fileno())
    draft.rename(folder / DUMP)
    return folder / DUMP


def check_backup(folder: Path) -> None:
    """Raises KizashiError where `folder` holds no whole backup."""
    if not (folder / DUMP).exists():
        raise KizashiError(f"{folder} holds no {DUMP}; expected a folder that `kizashi backup` has written")


def restore_files(data: DataFolder, folder: Path) -> None:
    """Put back what the data folder lacks. Raises KizashiError where it has another identity secret."""
    for name in FILES:
        kept, target = folder / name, data.path / name
        if not kept.exists():
            continue
        if target.exists():
            if name.endswith("identity_secret") and target.read_bytes() != kept.read_bytes():
                raise KizashiError(f"{target} is not the one of the backup: its leads would get other ids")
            continue
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copy2(kept, target)


def restore_database(database_url: str, folder: Path) -> None:
    """Replace the schemas of the database by those of the dump, all or nothing. Raises KizashiError."""
    _run([binary("psql"), "--quiet", "--set=ON_ERROR_STOP=1", "--command", _DROP, database_url])
    _run(
        [
            binary("pg_restore"),
            "--single-transaction",
            "--no-owner",
            f"--dbname={database_url}",
            str(folder / DUMP),
        ]
    )


_DROP = "SET client_min_messages = warning; DROP SCHEMA IF EXISTS scoring, handoff CASCADE"


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise KizashiError(f"{Path(command[0]).name} failed: {done.stderr.strip()[-1_000:]}")
