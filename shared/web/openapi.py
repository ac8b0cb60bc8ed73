"""What `/openapi.json` says beyond what the framework finds by itself."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.responses import HTMLResponse

from shared.errors import ProblemError
from shared.web.explanations import EXPLANATIONS
from shared.web.lean import LeanRoute

PROBLEM: dict[str, Any] = {
    "title": "Problem",
    "description": "RFC 9457. `code` is stable; `errors` points to each faulty place of the body.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "examples": ["invalid_fields"]},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {"pointer": {"type": "string", "format": "json-pointer"}, "detail": {"type": "string"}},
            },
        },
    },
}
PROBLEM_RESPONSE = {
    "description": "Refused; see `code`",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


def document(app: FastAPI, lean: Sequence[LeanRoute]) -> dict[str, Any]:
    """The OpenAPI document: the framework's routes, the lean ones, and problems as the errors of all."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title, version=app.version, description=app.description or None, routes=app.routes
        )
        for route in lean:
            schema["paths"][route.path] = {
                method.lower(): dict(operation) for method, operation in route.operations.items()
            }
        _name_problems(schema)
        schemas = schema["components"]["schemas"]
        for described in schemas.values():
            if "example" in described:
                described["example"] = _with_nulls(described["example"], described, schemas)
        app.openapi_schema = schema
    return app.openapi_schema


def _with_nulls(example: Any, described: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """The example as it was written: the framework leaves out what is null, required or not."""
    if "$ref" in described:
        return _with_nulls(example, schemas[described["$ref"].rpartition("/")[2]], schemas)
    if "anyOf" in described:
        # One kind and null: all that there is of alternatives.
        return _with_nulls(example, described["anyOf"][0], schemas)
    if isinstance(example, list):
        return [_with_nulls(item, described.get("items", {}), schemas) for item in example]
    if not isinstance(example, dict):
        return example
    known = described.get("properties", {})
    filled = dict.fromkeys(name for name in described.get("required", ()) if name not in example)
    return filled | {name: _with_nulls(value, known.get(name, {}), schemas) for name, value in example.items()}


def committed_form(described: Mapping[str, Any]) -> bytes:
    """A document as it is committed: indented, keys sorted, a newline at the end. The same on every machine."""
    return orjson.dumps(described, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)


def _name_problems(schema: dict[str, Any]) -> None:
    components = schema.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Problem"] = PROBLEM
    components.setdefault("securitySchemes", {}).setdefault("api_key", {"type": "http", "scheme": "bearer"})
    for path in schema["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
            operation["responses"].setdefault("default", PROBLEM_RESPONSE)


async def problem_page(code: str) -> HTMLResponse:
    """What a code means, for the reader who follows a problem's `type`."""
    text = EXPLANATIONS.get(code)
    if text is None:
        raise ProblemError(404, "not_found", "There is no such code.")
    return HTMLResponse(f"<!doctype html><title>{escape(code)}</title><h1>{escape(code)}</h1><p>{escape(text)}</p>")
