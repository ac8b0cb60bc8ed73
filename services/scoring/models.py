"""The models in force: read from the configuration folder, numbered in the database."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import orjson

from services.scoring.core.compile import compile_model
from services.scoring.core.lead import LiveModel, Models
from services.scoring.core.loader import load_model
from services.scoring.core.model import Model, ModelFaults
from shared.documents import read_document
from shared.errors import ConfigError

PRIMARY_FILE = "scoring.yaml"
OTHERS_FOLDER = "models"
FROM_FILE = "file"


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model as it stands in a file; `tree` is its content as JSON."""

    model: Model
    tree: dict[str, Any]

    @property
    def digest(self) -> str:
        """Equal for files that say the same, whatever their layout and comments."""
        return hashlib.sha256(orjson.dumps(self.tree, option=orjson.OPT_SORT_KEYS)).hexdigest()


def read_models(config_dir: Path) -> list[ModelFile]:
    """The primary model, then the others by file name. Raises ConfigError with every fault of the first faulty file."""
    others = config_dir / OTHERS_FOLDER
    paths = [
        config_dir / PRIMARY_FILE,
        *sorted([*others.glob("*.yaml"), *others.glob("*.yml"), *others.glob("*.json")]),
    ]
    files = [_read(path) for path in paths]
    for position, file in enumerate(files):
        if file.model.model in {earlier.model.model for earlier in files[:position]}:
            raise ConfigError(str(paths[position]), f"a model name of its own; {file.model.model} is taken")
    return files


def _read(path: Path) -> ModelFile:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), f"a readable scoring model in UTF-8 ({error})") from None
    try:
        model = load_model(text, str(path))
    except ModelFaults as error:
        raise ConfigError(PRIMARY_FILE if path.name == PRIMARY_FILE else path.name, str(error)) from None
    return ModelFile(model, read_document(text).tree)


async def publish(conn: asyncpg.Connection, files: Sequence[ModelFile]) -> Models:
    """Give each model its version: that of the newest one published from a file if it says the same, else the next."""
    live = []
    async with conn.transaction():
        await conn.execute("SELECT pg_advisory_xact_lock(hashtext('scoring.model_version'))")
        for file in files:
            version = await _version_of(conn, file)
            live.append(LiveModel(file.model.model, version, compile_model(file.model)))
    return Models(tuple(live))


async def _version_of(conn: asyncpg.Connection, file: ModelFile) -> int:
    name = file.model.model
    newest = await _newest(conn, name)
    if newest is not None and newest["digest"] == file.digest:
        return int(newest["version"])
    version = newest["version"] + 1 if newest else 1
    await conn.execute(
        "INSERT INTO scoring.model_version (name, version, digest, body, origin) VALUES ($1, $2, $3, $4, $5)",
        name,
        version,
        file.digest,
        orjson.dumps(file.tree).decode(),
        FROM_FILE,
    )
    return version


async def in_force(conn: asyncpg.Connection, files: Sequence[ModelFile]) -> Models:
    """The models of `files` under the versions they were published as; publishes nothing.

    Raises ConfigError for a file that was changed since.
    """
    live = []
    for file in files:
        name = file.model.model
        newest = await _newest(conn, name)
        if newest is None or newest["digest"] != file.digest:
            raise ConfigError(f"model {name}", "the one in force; the file was changed since the services started")
        live.append(LiveModel(name, int(newest["version"]), compile_model(file.model)))
    return Models(tuple(live))


async def _newest(conn: asyncpg.Connection, name: str) -> Any:
    """Version and digest of the newest version of a model, None if it was never published."""
    return await conn.fetchrow(
        "SELECT version, digest FROM scoring.model_version WHERE name = $1 ORDER BY version DESC LIMIT 1", name
    )
