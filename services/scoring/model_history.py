"""Which version of a model was in force at an instant."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.scoring.core.compile import compile_model
from services.scoring.core.lead import LiveModel
from services.scoring.core.loader import model_from
from services.scoring.models import ModelsInForce
from services.scoring.tables import model_publication, model_version

REMEMBERED = 32


@dataclass(frozen=True, slots=True)
class InForce:
    """A version of a model and since when it is in force; before the first one was published that one answers."""

    model: LiveModel
    published_at: datetime


class ModelHistory:
    """Versions by instant. Compiled ones are remembered: a published version never changes."""

    def __init__(self, models: ModelsInForce) -> None:
        self._compiled = {(model.name, model.version): model for model in models.live}

    async def in_force(self, conn: AsyncConnection, name: str, at: datetime) -> InForce | None:
        """The version of model `name` in force at `at`; None where there never was a model of this name."""
        column = model_publication.c.published_at
        published = select(model_publication.c.version, column).where(model_publication.c.name == name)
        last = published.where(column <= at).order_by(column.desc(), model_publication.c.id.desc()).limit(1)
        row = (await conn.execute(last)).one_or_none()
        if row is None:
            row = (await conn.execute(published.order_by(column, model_publication.c.id).limit(1))).one_or_none()
        return None if row is None else InForce(await self._model(conn, name, row.version), row.published_at)

    async def _model(self, conn: AsyncConnection, name: str, version: int) -> LiveModel:
        key = (name, version)
        if key not in self._compiled:
            columns = model_version.c
            query = select(columns.body).where(columns.name == name, columns.version == version)
            body = (await conn.execute(query)).scalar_one()
            if len(self._compiled) >= REMEMBERED:
                self._compiled.pop(next(iter(self._compiled)))
            self._compiled[key] = LiveModel(name, version, compile_model(model_from(body, name)))
        return self._compiled[key]
