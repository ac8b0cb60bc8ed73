"""Running a service's application."""

import asyncio
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import cast

import uvicorn
from starlette.types import ASGIApp

from shared.errors import ConfigError
from shared.settings import Settings
from shared.web.connections import Guard, connections_possible

GRACE_S = 5
KEEP_ALIVE_S = 75
"""Longer than common proxies keep their side (60 s), so that they never write to a connection just closed."""


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
