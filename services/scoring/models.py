"""The models in force: read from the configuration folder, numbered, published and kept up to date by the database."""

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import structlog

from services.scoring.core.compile import compile_model
from services.scoring.core.lead import LeadState, LiveModel, Models
from services.scoring.core.loader import load_model, model_from
from services.scoring.core.model import Model, ModelFaults
from services.scoring.model_repository import FROM_FILE, PUBLISHED, ModelRepository
from services.scoring.refold_repository import RefoldRepository
from shared.clock import EPOCH
from shared.documents import read_document
from shared.errors import ConfigError, TransientError
from shared.waiting import until_it_works

PRIMARY_FILE = "scoring.yaml"
OTHERS_FOLDER = "models"
FILE_AUTHOR = "file"
LOOK_EVERY_S = 1.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model as it stands in a file; `tree` is its content as JSON."""

    model: Model
    tree: dict[str, Any]

    @property
    def digest(self) -> str:
        """Equal for files that say the same, whatever their layout and comments."""
        return digest_of(self.tree)


def digest_of(tree: Mapping[str, Any]) -> str:
    """Equal for models that are written the same, whatever the order of their keys."""
    try:
        written = orjson.dumps(tree, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # whole numbers of more than 64 bits
        written = json.dumps(tree, sort_keys=True).encode()
    return hashlib.sha256(written).hexdigest()


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


class ModelsInForce:
    """The models that this process scores with. One per process; `pin` keeps it in step with the database.

    `files` are the names that the configuration folder defines, the primary first.
    """

    def __init__(self, files: Sequence[str]) -> None:
        self._files = tuple(files)
        self._generation = -1
        self._known: dict[tuple[str, int], LiveModel] = {}
        self.current = Models(())
        self.published_at = EPOCH
        """When the last of any of them was published or withdrawn."""

    @property
    def primary(self) -> LiveModel:
        """The model of `scoring.yaml`."""
        return self.current.primary

    @property
    def live(self) -> tuple[LiveModel, ...]:
        """All models in force, the primary first."""
        return self.current.live

    def serving(self, state: LeadState) -> Models:
        """See Models."""
        return self.current.serving(state)

    async def pin(self, conn: asyncpg.Connection) -> Models:
        """The models in force, which do not change before the transaction on `conn` ends. Its first statement."""
        generation = await ModelRepository(conn).share()
        if generation != self._generation:
            await self._load(conn)
            self._generation = generation
        return self.current

    async def follow(self, pool: asyncpg.Pool) -> None:
        """Notice publications also while there is nothing to score, so that reads know them. Runs until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await until_it_works(lambda: self._look(pool), lambda _: None)

    async def _look(self, pool: asyncpg.Pool) -> None:
        async with pool.acquire() as conn:
            if await ModelRepository(conn).generation() != self._generation:
                async with conn.transaction():
                    await self.pin(conn)
                log.info("models_in_force", models={model.key: model.version for model in self.current.all})

    async def _load(self, conn: asyncpg.Connection) -> None:
        repository = ModelRepository(conn)
        in_force, from_files = await repository.in_force(), await repository.names_from_files()
        names = [name for name in self._files if name in in_force]
        # A model made by API alone needs no file; one whose file is gone is gone.
        names += sorted(name for name in in_force if name not in from_files)
        if not names or names[0] != self._files[0]:
            raise TransientError("the primary model is not published yet")
        self.published_at = await repository.last_publication_at()
        live = [await self._model(repository, name, in_force[name]) for name in names]
        shadows = [await self._model(repository, *key, shadow=True) for key in await repository.shadows()]
        earlier = {}
        if await RefoldRepository(conn).unfinished():
            for name in names:
                for version in await repository.recent(name):
                    earlier[name, version] = await self._model(repository, name, version)
        self.current = Models(tuple(live), tuple(shadows), earlier)
        self._known = {(model.name, model.version): model for model in (*self.current.all, *earlier.values())}

    async def _model(self, repository: ModelRepository, name: str, version: int, *, shadow: bool = False) -> LiveModel:
        known = self._known.get((name, version))
        if known is not None:
            compiled = known.compiled
        else:
            row = await repository.version(name, version)
            assert row is not None
            compiled = compile_model(model_from(row.body, name))
        return LiveModel(name, version, compiled, shadow)


async def publish(conn: asyncpg.Connection, files: Sequence[ModelFile]) -> ModelsInForce:
    """What files say that changed becomes a new published version, silently; what was published by API wins until then.

    Returns the models in force.
    """
    async with conn.transaction():
        repository = ModelRepository(conn)
        await repository.lock()
        for file in files:
            await _publish_if_changed(conn, repository, file)
    return await _loaded(conn, files)


async def _publish_if_changed(conn: asyncpg.Connection, repository: ModelRepository, file: ModelFile) -> None:
    name = file.model.model
    from_file = await repository.newest(name, FROM_FILE)
    if from_file is not None and from_file.digest == file.digest:
        return
    newest = await repository.newest(name)
    version = newest.version + 1 if newest else 1
    await repository.add(name, version, file.digest, file.tree, FROM_FILE, PUBLISHED, FILE_AUTHOR)
    await repository.retire_others(name, version, FILE_AUTHOR)
    await repository.note_publication(name, version, FILE_AUTHOR)
    await repository.note(FILE_AUTHOR, name, version, "published", {"silent": True})
    await RefoldRepository(conn).begin(name, version, None)


async def in_force(conn: asyncpg.Connection, files: Sequence[ModelFile]) -> ModelsInForce:
    """The models in force as the services know them; publishes nothing.

    Raises ConfigError for a file that was changed since the services started.
    """
    for file in files:
        name = file.model.model
        from_file = await ModelRepository(conn).newest(name, FROM_FILE)
        if from_file is None or from_file.digest != file.digest:
            raise ConfigError(f"model {name}", "the one in force; the file was changed since the services started")
    return await _loaded(conn, files)


async def _loaded(conn: asyncpg.Connection, files: Sequence[ModelFile]) -> ModelsInForce:
    models = ModelsInForce([file.model.model for file in files])
    async with conn.transaction():
        await models.pin(conn)
    return models
