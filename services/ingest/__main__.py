"""`python -m services.ingest`."""

import sys

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
    serve(lambda: build(settings), settings, default_port=DEFAULT_PORT)


if __name__ == "__main__":
    main()
