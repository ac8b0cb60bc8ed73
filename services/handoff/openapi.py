"""Writes the OpenAPI document of this service: `python -m services.handoff.openapi > docs/openapi/handoff.json`."""

import sys

from services.handoff.app import ROUTERS, HandoffService
from shared.backend import render_openapi


def render() -> bytes:
    """The document as committed."""
    return render_openapi(HandoffService, *ROUTERS)


if __name__ == "__main__":
    sys.stdout.buffer.write(render())
