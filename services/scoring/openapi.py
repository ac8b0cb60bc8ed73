"""Writes the OpenAPI document of this service: `python -m services.scoring.openapi > docs/openapi/scoring.json`."""

import sys

import orjson

from services.scoring.app import ScoringService
from services.scoring.routes import router
from shared.settings import Settings
from shared.version import VERSION
from shared.web import create_app


def render() -> bytes:
    """The document as committed: indented, keys sorted, a newline at the end. The same on every machine."""
    app = create_app(
        title=ScoringService.title,
        version=VERSION,
        settings=Settings(),
        lifespan=None,
        readiness=_no_parts,
        description=ScoringService.description,
    )
    app.include_router(router)
    return orjson.dumps(app.openapi(), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)


async def _no_parts() -> dict[str, str | None]:
    return {}


if __name__ == "__main__":
    sys.stdout.buffer.write(render())
