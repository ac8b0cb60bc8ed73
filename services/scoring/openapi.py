"""Writes the OpenAPI document of this service: `python -m services.scoring.openapi > docs/openapi/scoring.json`."""

import sys

from services.scoring.app import ScoringService
from services.scoring.routes import router
from shared.backend import render_openapi


def render() -> bytes:
    """The document as committed."""
    return render_openapi(ScoringService, router)


if __name__ == "__main__":
    sys.stdout.buffer.write(render())
