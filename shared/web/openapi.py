"""What `/openapi.json` says beyond what the framework finds by itself."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.responses import HTMLResponse

from shared.errors import ProblemError
from shared.web.lean import LeanRoute
from shared.web.problems import CODES, TITLES

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
EXPLANATIONS = {
    "invalid_json": "The body is not JSON in UTF-8 as this service takes it: no NaN, no lone surrogates, no numbers"
    " beyond a double's range, at most 32 levels.",
    "invalid_fields": "One or more fields are not as expected; `errors` names each by a JSON pointer.",
    "unauthorized": "No key, an unknown, expired or revoked one. Make one: kizashi keys create NAME --scope SCOPE.",
    "invalid_signature": "The signature was not made with one of the source's secrets, or not over these bytes.",
    "signature_missing": "The request carries no signature or secret of its source.",
    "signature_expired": "The signature is right, but its time lies too far from ours: a replay, or a wrong clock.",
    "wrong_secret": "The secret of the request or of the source's configuration is not a usable one.",
    "origin_not_allowed": "The sending page is of no origin listed under allowed_origins, or hides where it stands.",
    "invalid_form": "The body is no form: broken multipart, or fields that cannot be told apart.",
    "handshake_refused": "What the tool asks at set-up to check the address lacks its challenge or the verify token.",
    "source_disabled": "A ${NAME} of this source is not set in the service's environment.",
    "missing_scope": "The key is valid but lacks the scope this route needs.",
    "invalid_encoding": "The body is not what its Content-Encoding says.",
    "too_large": "The body, one activity or the count of items is beyond its limit.",
    "unsupported_media_type": "The Content-Type or Content-Encoding is none this route takes.",
    "unavailable": "The service cannot keep its promise now; try again after Retry-After. Nothing was taken.",
    "overloaded": "More is under way than this process may hold at once; try again after Retry-After."
    " Nothing was taken.",
    "too_many_requests": "More requests than the limit allows for this key or address; try again after Retry-After."
    " RateLimit-Policy names the limit.",
    "request_timeout": "The headers or the body of the request came too slowly; the connection was closed.",
    "headers_too_large": "Request line and headers are beyond their limit of bytes or lines.",
    "not_ready": "A part this service needs does not answer; `failing` names it.",
    "keys_unreadable": "The file with the keys is broken, so no key can be checked.",
    "internal_error": "A fault of the service. The log lines with this request's id say more.",
}
"""What the pages at `/problems/{code}` say."""


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
    status = next((status for status, name in CODES.items() if name == code), None)
    text = EXPLANATIONS.get(code) or (TITLES[status][0] if status else None)
    if text is None:
        raise ProblemError(404, "not_found", "There is no such code.")
    return HTMLResponse(f"<!doctype html><title>{escape(code)}</title><h1>{escape(code)}</h1><p>{escape(text)}</p>")
