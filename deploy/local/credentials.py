"""The secrets a local stack makes for itself, once, in its data folder."""

import hashlib
import os
import secrets
from pathlib import Path

from deploy.local.paths import DataFolder
from shared.clock import system_clock
from shared.errors import KizashiError
from shared.keys import ADMIN, create_key, list_keys, revoke_key

CLI_KEY_NAME = "local-cli"


def ensure_identity_secret(data: DataFolder, given: str | None = None) -> None:
    """Make the secret of the lead ids on the first start, or keep the one that is given.

    Raises KizashiError when it is gone while the leads are still there, in PostgreSQL or as activities in Kafka, or is
    another than the given one: a new one would give every lead a second id.
    """
    if data.identity_secret.exists():
        _check_given(data.identity_secret, given)
        return
    if any(folder.exists() for folder in (data.postgres / "data", data.kafka / "data")):
        raise KizashiError(
            f"{data.identity_secret} is missing, but {data.path} holds leads whose ids were made with it: "
            "put the file back, or remove the whole folder"
        )
    _write_secret(data.identity_secret, given or secrets.token_hex(32))


def _check_given(path: Path, given: str | None) -> None:
    if given is not None and path.read_text(encoding="utf-8").strip() != given:
        raise KizashiError(
            f"{path} is not the secret in KIZASHI_IDENTITY_SECRET; leads have their ids from the file: take the"
            " variable away, or, before there are any leads, remove the file"
        )


def ensure_cli_key(data: DataFolder, key_store: Path) -> None:
    """Make the key with which the commands of this folder call the services, unless the one in its file works."""
    now = system_clock()
    named = [key for key in list_keys(key_store) if key.name == CLI_KEY_NAME and key.state(now) != "revoked"]
    if data.cli_key.exists():
        digest = hashlib.sha256(data.cli_key.read_text(encoding="ascii").strip().encode()).hexdigest()
        if any(key.hash == digest and key.state(now) == "active" for key in named):
            return
    if named:
        revoke_key(key_store, CLI_KEY_NAME, now)
    _write_secret(data.cli_key, create_key(key_store, CLI_KEY_NAME, [ADMIN], now))


def _write_secret(path: Path, text: str) -> None:
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
