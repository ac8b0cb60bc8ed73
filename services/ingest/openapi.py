"""Writes the OpenAPI document of this service: `python -m services.ingest.openapi > docs/openapi/ingest.json`."""

import sys
import tempfile
from pathlib import Path

from pydantic import SecretStr

from services.ingest.app import build
from services.ingest.settings import IngestSettings
from shared.web import committed_form


def render() -> bytes:
    """The document as committed."""
    with tempfile.TemporaryDirectory() as empty:
        settings = IngestSettings(
            data_dir=Path(empty), config_dir=Path(empty), identity_secret=SecretStr("not used for documents")
        )
        document = build(settings).openapi()
    return committed_form(document)


if __name__ == "__main__":
    sys.stdout.buffer.write(render())
