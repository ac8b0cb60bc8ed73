"""Writes the OpenAPI document of this service: `python -m services.ingest.openapi > docs/openapi/ingest.json`."""

import sys
import tempfile
from pathlib import Path

import orjson
from pydantic import SecretStr

from services.ingest.app import build
from services.ingest.settings import IngestSettings


def render() -> bytes:
    """The document as committed: indented, keys sorted, a newline at the end. The same on every machine."""
    with tempfile.TemporaryDirectory() as empty:
        settings = IngestSettings(
            data_dir=Path(empty), config_dir=Path(empty), identity_secret=SecretStr("not used for documents")
        )
        document = build(settings).openapi()
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)


if __name__ == "__main__":
    sys.stdout.buffer.write(render())
