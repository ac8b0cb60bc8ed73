"""Which version of a model was in force at an instant."""

from dataclasses import dataclass
from datetime import datetime

import asyncpg
import orjson

from services.scoring.core.compile import compile_model
from services.scoring.core.lead import LiveModel, Models
from services.scoring.core.loader import model_from
from services.scoring.models import ModelsInForce

REMEMBERED = 32
_PUBLISHED = "SELECT version, published_at FROM scoring.model_publication WHERE name = $1"
_LAST = f"{_PUBLISHED} AND published_at <= $2 ORDER BY published_at DESC, id DESC LIMIT 1"
_FIRST = f"{_PUBLISHED} ORDER BY published_at, id LIMIT 1"
_BODY = "SELECT body::text FROM scoring.model_version WHERE name = $1 AND version = $2"


@dataclass(frozen=True, slots=True)
class InForce:
    """A version of a model and since when it is in force; before the first one was published that one answers."""

    model: LiveModel
    published_at: datetime


class ModelHistory:
    """Versions by instant. Compiled ones are remembered: a published version never changes."""

    def __init__(self, models: ModelsInForce) -> None:
        self._models = models
        self._compiled = {(model.name, model.version): model for model in models.live}

    async def in_force(self, conn: asyncpg.Connection, name: str, at: datetime) -> InForce | None:
        """The version of model `name` in force at `at`; None where there never was a model of this name, or where it
        was withdrawn by then.
        """
        row = await conn.fetchrow(_LAST, name, at) or await conn.fetchrow(_FIRST, name)
        return None if row is None or row[0] is None else InForce(await self._model(conn, name, row[0]), row[1])

    async def models_at(self, conn: asyncpg.Connection, at: datetime) -> Models:
        """The models that are in force now, each in its version of the instant `at`, in that of now where there was
        none; without shadows.
        """
        live = self._models.live
        then = [await self.in_force(conn, model.name, at) for model in live]
        return Models(tuple(one.model if one else model for one, model in zip(then, live, strict=True)))

    async def _model(self, conn: asyncpg.Connection, name: str, version: int) -> LiveModel:
        key = (name, version)
        if key not in self._compiled:
            body = orjson.loads(await conn.fetchval(_BODY, name, version))
            if len(self._compiled) >= REMEMBERED:
                self._compiled.pop(next(iter(self._compiled)))
            self._compiled[key] = LiveModel(name, version, compile_model(model_from(body, name)))
        return self._compiled[key]
