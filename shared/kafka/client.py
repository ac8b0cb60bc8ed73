"""What every Kafka client of this project shares: connection options, and an end to waiting."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from aiokafka.helpers import create_ssl_context

from shared.settings import KafkaSettings

T = TypeVar("T")
ANSWER_WITHIN_S = 5.0


def client_options(kafka: KafkaSettings) -> dict[str, Any]:
    """Keyword arguments for any aiokafka producer, consumer or admin client: addresses, TLS and SASL.

    Raises OSError when a certificate file cannot be read.
    """
    options: dict[str, Any] = {
        "bootstrap_servers": kafka.bootstrap_servers,
        "security_protocol": kafka.security_protocol,
    }
    if "SSL" in kafka.security_protocol:
        files = {"cafile": kafka.ssl_cafile, "certfile": kafka.ssl_certfile, "keyfile": kafka.ssl_keyfile}
        options["ssl_context"] = create_ssl_context(**{name: str(path) for name, path in files.items() if path})
    if kafka.security_protocol.startswith("SASL"):
        options["sasl_mechanism"] = kafka.sasl_mechanism
        options["sasl_plain_username"] = kafka.sasl_username
        options["sasl_plain_password"] = kafka.sasl_password.get_secret_value() if kafka.sasl_password else None
    return options


async def answered(call: Coroutine[Any, Any, T]) -> T:
    """The result of a call to Kafka. Raises TimeoutError after 5 s, also where the call ignores its cancellation."""
    task = asyncio.ensure_future(call)
    done, _ = await asyncio.wait({task}, timeout=ANSWER_WITHIN_S)
    if not done:
        task.cancel()
        raise TimeoutError(f"Kafka did not answer within {ANSWER_WITHIN_S:.0f} s")
    if task.cancelled():  # the client gave up one of its own tasks; that is no cancellation of ours
        raise ConnectionError("the Kafka client gave up the call")
    return task.result()
