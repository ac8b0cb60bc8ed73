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


def ensure_identity_secret(data: DataFolder) -> None:
    """Make the secret of the lead ids on the first start.

    Raises KizashiError when it is gone while the leads are still there: a new one would give every lead a second id.
    """
    if data.identity_secret.exists():
        return
    if (data.postgres / "data").exists():
        raise KizashiError(
            f"{data.identity_secret} is missing, but {data.path} holds leads whose ids were made with it: "
            "put the file back, or remove the whole folder"
        )
    _write_secret(data.identity_secret, secrets.token_hex(32))


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
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
