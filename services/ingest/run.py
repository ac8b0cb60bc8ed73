"""The service as a process."""

import gc
import sys

from fastapi import FastAPI

from services.ingest.app import build
from services.ingest.settings import IngestSettings
from shared.errors import ConfigError
from shared.settings import load
from shared.telemetry import configure_logging
from shared.web import serve

DEFAULT_PORT = 8001


def main() -> None:
    """Run the service until it is told to stop."""
    try:
        settings = load(IngestSettings)
    except ConfigError as error:
        sys.exit(f"configuration: {error}")
    configure_logging("ingest", settings.log_level)
    serve(lambda: _built(settings), settings, default_port=DEFAULT_PORT)


def _built(settings: IngestSettings) -> FastAPI:
    app = build(settings)
    # A batch makes tens of thousands of objects and no cycles. Looking for cycles every 700 of them, as is the default,
    # takes a third of the time that reading a webhook takes; what has been loaded by now stays anyway.
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    gc.enable()
    return app
