"""Finding the one record in a batch that the database refuses."""

from collections.abc import Awaitable, Callable

import asyncpg

from shared.kafka.records import Batch
from shared.postgres import is_transient

HandleBatch = Callable[[Batch], Awaitable[None]]
Bury = Callable[[Batch, str], Awaitable[None]]


async def handle_or_bury(batch: Batch, handle: HandleBatch, bury: Bury) -> None:
    """Handle `batch`; where PostgreSQL refuses its data, halve it until the refused record stands alone: bury that.

    `bury` writes a batch of one record to the dead-letter topic, in the transaction that moves past it. Transient
    errors, and errors that are not the database's word on the data, pass through.
    """
    try:
        await handle(batch)
    except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.ProgramLimitExceededError) as error:
        if is_transient(error):
            raise
        if len(batch.records) == 1:
            await bury(batch, f"refused by the database: {type(error).__name__}")
            return
        first, second = batch.halves()
        await handle_or_bury(first, handle, bury)
        await handle_or_bury(second, handle, bury)
