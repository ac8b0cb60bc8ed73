"""Backup of a stack: the database as a dump, and the files without which its leads would have other names.

Kafka needs no backup for this: it holds what came after, and the restored database reads on from where it stood.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import orjson

from deploy.local.external import password_of, without_password
from deploy.local.paths import DataFolder
from deploy.local.postgres import binary
from shared.errors import KizashiError
from shared.recovery import due_sql

DUMP = "kizashi.dump"
SEAL = "backup.json"
"""Size and SHA-256 of each file of the backup."""
FILES = ("keys.json", "secrets/identity_secret", "secrets/cli_key")
"""What belongs to the database, in the data folder: hashes of keys, the secret that lead ids are made with."""
SCHEMAS = ("scoring", "handoff")
CONNECT_LIMIT_S = 10
_DROP = f"SET client_min_messages = warning; BEGIN; DROP SCHEMA IF EXISTS {', '.join(SCHEMAS)} CASCADE;"


def back_up(data: DataFolder, database_url: str, folder: Path) -> Path:
    """Write a backup to a new folder; the services may run meanwhile. Returns the dump.

    Raises KizashiError where the folder holds something, or pg_dump fails.
    """
    if folder.exists() and any(folder.iterdir()):
        raise KizashiError(f"{folder} is not empty; a backup goes into a folder of its own")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        return _write(data, database_url, folder)
    except BaseException:
        # What is left of it would be in the way of the next attempt.
        for made in folder.iterdir():
            shutil.rmtree(made) if made.is_dir() else made.unlink()
        raise


def _write(data: DataFolder, database_url: str, folder: Path) -> Path:
    draft = folder / f"{DUMP}.new"
    command = [binary("pg_dump"), "--format=custom", "--no-owner", f"--file={draft}", without_password(database_url)]
    _run(command, _environment(database_url))
    sealed = {DUMP: _measure(draft)}
    for name in FILES:
        if (data.path / name).exists():
            (folder / name).parent.mkdir(mode=0o700, exist_ok=True)
            shutil.copy2(data.path / name, folder / name)
            sealed[name] = _measure(folder / name)
    (folder / SEAL).write_bytes(orjson.dumps(sealed, option=orjson.OPT_INDENT_2))
    with draft.open("rb") as file:
        os.fsync(file.fileno())
    # Last of all: a folder with a dump is a whole backup.
    draft.rename(folder / DUMP)
    return folder / DUMP


def check_backup(folder: Path) -> None:
    """Raises KizashiError where `folder` holds no whole backup."""
    dump = folder / DUMP
    if not dump.exists():
        raise KizashiError(f"{folder} holds no {DUMP}; expected a folder that `kizashi backup` has written")
    for name, made in _sealed(folder).items():
        found = _measure(folder / name) if (folder / name).is_file() else None
        if found != made:
            size = "missing" if found is None else f"{found['bytes']:,} bytes"
            raise KizashiError(
                f"{folder / name} is not what was backed up ({size}, of {made['bytes']:,}): the backup is damaged,"
                " and nothing was changed. Take another one"
            )
    # Of a backup without a seal nothing but reading all of it tells whether it is whole.
    how = ["--list"] if (folder / SEAL).exists() else ["--file=/dev/null"]
    _run([binary("pg_restore"), *how, str(dump)])


def _sealed(folder: Path) -> Mapping[str, Mapping[str, Any]]:
    """Earlier releases wrote none."""
    if not (folder / SEAL).exists():
        return {}
    try:
        sealed: Mapping[str, Mapping[str, Any]] = orjson.loads((folder / SEAL).read_bytes())
        return {name: {"bytes": int(made["bytes"]), "sha256": made["sha256"]} for name, made in sealed.items()}
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
        raise KizashiError(f"{folder / SEAL} cannot be read: the backup is damaged, and nothing was changed") from None


def _measure(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


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
        draft = target.with_name(f"{target.name}.new")
        shutil.copy2(kept, draft)
        draft.rename(target)


def restore_database(database_url: str, folder: Path, command: str) -> None:
    """Replace the schemas of the database by those of the dump in one transaction, and note in it that `command` has to
    bring them up to what stands in Kafka before a service may start.

    Raises KizashiError; the database is as it was then.
    """
    due = " ".join(due_sql(schema, command) for schema in SCHEMAS)
    with tempfile.TemporaryFile() as said:
        address = f"--dbname={without_password(database_url)}"
        psql = subprocess.Popen(
            [binary("psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--file=-", address],
            env=_environment(database_url),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=said,
        )
        assert psql.stdin is not None
        _tell(psql.stdin, f"{_DROP}\n")
        command_line = [binary("pg_restore"), "--no-owner", "--file=-", str(folder / DUMP)]
        read = subprocess.run(command_line, stdout=psql.stdin, stderr=said, check=False)
        if read.returncode == 0:
            # Without this word the end of what is read rolls everything back, whoever ended early.
            _tell(psql.stdin, f"\n{due} COMMIT;\n")
        with suppress(BrokenPipeError):
            psql.stdin.close()
        if psql.wait() != 0 or read.returncode != 0:
            said.seek(0)
            reason = said.read().decode("utf-8", "replace").strip()[-1_000:]
            raise KizashiError(f"the backup was not restored, and the database is as it was: {reason}")


def _tell(stdin: IO[bytes], text: str) -> None:
    with suppress(BrokenPipeError):
        stdin.write(text.encode())
        stdin.flush()


def _environment(database_url: str) -> dict[str, str]:
    """Of a PostgreSQL client: the arguments of a process, and so a password among them, can be read by everybody."""
    password = password_of(database_url)
    limits = {"PGCONNECT_TIMEOUT": str(CONNECT_LIMIT_S)}
    return os.environ | limits | ({"PGPASSWORD": password} if password is not None else {})


def _run(command: Sequence[str], env: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise KizashiError(f"{Path(command[0]).name} failed: {done.stderr.strip()[-1_000:]}")
