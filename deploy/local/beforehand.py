"""What must be true of a database before services start on it: they would count and publish anew what was before, or
give every lead a second id.
"""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

from shared.errors import TransientError
from shared.settings import Settings

TIMEOUT_S = 20.0
WRITTEN = {"scoring": "lead-scores", "handoff": "qualified-leads"}
"""By schema the topic that holds something once its service has worked."""
LEADS = "scoring"
"""The schema of the lead ids."""


def check_before_services(settings: Settings) -> None:
    """Raises RecoveryDue for a database that was put back, or emptied, and does not know yet what Kafka holds;
    ForeignSecretError where its lead ids were made with another secret than that of `settings`, or where that has none
    and would get a new one; TransientError where a server does not answer.
    """
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        try:
            # In a thread: the caller may have an event loop of its own.
            with ThreadPoolExecutor(1) as pool:
                return pool.submit(lambda: asyncio.run(check_database(settings))).result()
        except TransientError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


async def check_database(settings: Settings) -> None:
    """As `check_before_services`, once."""
    from shared import known_secret, recovery  # noqa: PLC0415 - the drivers are loaded while the servers start

    conn = await recovery.connect(settings.database)
    try:
        secret = settings.identity_key if settings.identity_secret else None
        await known_secret.check_secret(conn, LEADS, secret)
        for schema, topic in WRITTEN.items():
            await recovery.check_not_due(conn, schema)
            await recovery.check_not_emptied(conn, settings.kafka, schema, topic)
    finally:
        await conn.close()
