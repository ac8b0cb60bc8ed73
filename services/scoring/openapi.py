"""Writes the OpenAPI document of this service: `python -m services.scoring.openapi > docs/openapi/scoring.json`."""

import sys

from services.scoring.app import ROUTER, ScoringService
from shared.backend import render_openapi


def render() -> bytes:
    """The document as committed."""
    return render_openapi(ScoringService, ROUTER)


if __name__ == "__main__":
    sys.stdout.buffer.write(render())
