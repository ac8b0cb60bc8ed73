"""Running a service's application."""

import asyncio
import resource
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import cast

import structlog
import uvicorn
from starlette.types import ASGIApp

from shared.errors import ConfigError
from shared.settings import Settings
from shared.web.connections import Guard

GRACE_S = 5
KEEP_ALIVE_S = 75
"""Longer than common proxies keep their side (60 s), so that they never write to a connection just closed."""
SPARE_FILES = 256
"""Descriptors kept for Kafka, PostgreSQL, the spool and logs."""

log = structlog.get_logger()


def serve(app_factory: Callable[[], ASGIApp], settings: Settings, *, default_port: int = 8000) -> None:
    """Serve until SIGTERM or SIGINT, then answer what is in hand within 5 s and return.

    Listens on `settings.http`; forwarded headers are believed from its trusted proxies only. Exits 2 with one line for
    a faulty configuration.
    """
    try:
        app = app_factory()
    except ConfigError as error:
        print(f"configuration: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    # uvicorn raises the signal again once it has shut down; without a handler that would look like a crash.
    signal.signal(signal.SIGTERM, _end_quietly)
    guard = Guard(settings.http, connections_possible(settings.http.max_connections))
    uvicorn.run(
        app,
        host=settings.http.host,
        port=settings.http.port or default_port,
        loop="uvloop",
        # Called like a class, which is all that is asked of it.
        http=cast(type[asyncio.Protocol], guard.protocol),
        ws="none",
        # Said, because uvicorn reads WEB_CONCURRENCY otherwise and does not start with more than one.
        workers=1,
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=bool(settings.http.trusted_proxies),
        forwarded_allow_ips=settings.http.trusted_proxies,
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=KEEP_ALIVE_S,
    )


def _end_quietly(_: int, __: FrameType | None) -> None:
    raise SystemExit(0)


def connections_possible(wanted: int) -> int:
    """How many connections the process may hold: `wanted`, or fewer where the system does not give the descriptors.

    Raises the soft limit of open files as far as needed and allowed.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    possible = wanted if soft == resource.RLIM_INFINITY else min(wanted, soft - SPARE_FILES)
    if possible < wanted:
        log.warning("fewer_connections", wanted=wanted, possible=possible, hint="raise the limit of open files")
    return max(possible, 16)
