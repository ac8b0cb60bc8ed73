"""The routes of a company's own pages and mails: forms, the page tag, tracked links, Segment's protocol."""

from typing import Any

from services.ingest.collecting import Collecting
from services.ingest.forms import PREFIX, Forms
from services.ingest.links import CLICK, OPEN, Links
from services.ingest.routes import ACCEPTED
from services.ingest.site.bodies import JSON, MULTIPART, URLENCODED
from services.ingest.site.calls import CALLS
from services.ingest.tracking import Tracking
from shared.telemetry import INGEST_DURATION
from shared.web import LeanRoute

FORM, COLLECT, TAG = PREFIX + "{form_key}", "/v1/collect", "/v1/tag.js"
_FIELDS = {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean", "array"]}}
_EXAMPLE = {"お名前": "山田 太郎", "メールアドレス": "taro.yamada@example.co.jp", "ご相談内容": "価格を教えてください"}
_TOKEN = {"name": "token", "in": "path", "required": True, "schema": {"type": "string"}}
_REFUSED = {
    "type": "array",
    "items": {"type": "object", "properties": {"item": {"type": "integer"}, "reason": {"type": "string"}}},
}
_PARTLY = {**ACCEPTED, "properties": {**ACCEPTED["properties"], "refused": _REFUSED}}  # type: ignore[dict-item]
ABOUT_FORM = (
    "A form of a page, as a browser sends it or as JSON, in UTF-8 or a Japanese encoding. No API key: the form's key"
    " stands in the page, and pages of the origins listed for it alone may send. A plain browser post is sent on to the"
    " form's own thank-you page (303), a script gets 202. With `kizashi_test=1` the answer says what would have been"
    " kept, and nothing is kept."
)
ABOUT_COLLECT = (
    "What the page tag sends, also as `text/plain`, as `sendBeacon` does: the site's public write key, the browser's"
    " `anonymous_id`, and `activities`, or one activity with its fields beside them. `age_ms` says how long ago it was."
    " Good activities are taken, others reported."
)
ABOUT_CLICK = (
    "On to the address sealed inside the token, and to no other; what was clicked is recorded. Served also when nothing"
    " can be kept."
)
ABOUT_CALL = (
    "As Segment's tracking API takes it. The write key of a site is the user of Basic authentication, or `writeKey` in"
    " the body. Of a batch the good calls are taken and the others reported."
)


def site_routes(forms: Forms, collecting: Collecting, links: Links, tracking: Tracking) -> list[LeanRoute]:
    """All of them."""
    redirected = {"302": {"description": "To the address inside the token"}}
    image = {"200": {"description": "A transparent pixel", "content": {"image/gif": {"schema": _BINARY}}}}
    calls = [
        _route(f"/v1/{call}", {"POST": tracking.post, "OPTIONS": tracking.options}, {"POST": _call(call)})
        for call in CALLS
    ]
    return [
        _route(FORM, {"POST": forms.post, "OPTIONS": forms.options}, {"POST": _form()}),
        _route(COLLECT, {"POST": collecting.post, "OPTIONS": collecting.options}, {"POST": _collect()}),
        _route(TAG, {"GET": collecting.script, "HEAD": collecting.script}, {"GET": _script()}),
        _route(
            CLICK + "{token}",
            {"GET": links.click, "HEAD": links.click},
            {method: _token("click", method, "A tracked link", ABOUT_CLICK, redirected) for method in ("GET", "HEAD")},
        ),
        _route(
            OPEN + "{token}.gif",
            {"GET": links.open, "HEAD": links.open},
            {"GET": _token("open", "GET", "An open pixel", "Served in any case.", image)},
        ),
        *calls,
    ]


_BINARY = {"type": "string", "format": "binary"}


def _route(path: str, handlers: dict[str, Any], operations: dict[str, Any]) -> LeanRoute:
    return LeanRoute(path, handlers, operations, INGEST_DURATION)


def _answered(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _form() -> dict[str, Any]:
    content = {media: {"schema": _FIELDS} for media in (URLENCODED, MULTIPART)}
    return {
        "tags": ["pages"],
        "operationId": "post_form",
        "summary": "Send a form",
        "description": ABOUT_FORM,
        "security": [],
        "parameters": [
            {
                "name": "form_key",
                "in": "path",
                "required": True,
                "schema": {"type": "string"},
                "description": "From sources.yaml.",
            }
        ],
        "requestBody": {"required": True, "content": {**content, JSON: {"schema": _FIELDS, "example": _EXAMPLE}}},
        "responses": {
            "200": _answered("A test: what would have been kept", {"type": "object"}),
            "202": _answered("Stored durably", ACCEPTED),
            "303": {"description": "Stored durably; on to the thank-you page"},
        },
    }


def _collect() -> dict[str, Any]:
    activity = {"type": "object", "required": ["type"], "properties": {"type": {"type": "string"}}}
    schema = {
        "type": "object",
        "required": ["write_key"],
        "properties": {
            "write_key": {"type": "string"},
            "anonymous_id": {"type": "string"},
            "activities": {"type": "array", "maxItems": 100, "items": activity},
        },
    }
    seen = {"type": "page_viewed", "properties": {"url": "https://www.example.co.jp/pricing"}}
    example = {"write_key": "wk_9f31c07aa2", "anonymous_id": "b-7f3c", "activities": [seen]}
    return {
        "tags": ["pages"],
        "operationId": "post_collect",
        "summary": "What the page tag sends",
        "description": ABOUT_COLLECT,
        "security": [],
        "requestBody": {
            "required": True,
            "content": {media: {"schema": schema, "example": example} for media in (JSON, "text/plain")},
        },
        "responses": {"202": _answered("Stored durably", _PARTLY)},
    }


def _script() -> dict[str, Any]:
    return {
        "tags": ["pages"],
        "operationId": "get_tag",
        "summary": "The page tag",
        "description": "A script for the company's pages; see docs/web.",
        "security": [],
        "responses": {"200": {"description": "The script", "content": {"text/javascript": {"schema": _BINARY}}}},
    }


def _token(name: str, method: str, summary: str, about: str, responses: dict[str, Any]) -> dict[str, Any]:
    return {
        "tags": ["mails"],
        "operationId": f"{method.lower()}_{name}",
        "summary": summary if method == "GET" else f"{summary}, asked for by {method}",
        "description": about,
        "security": [],
        "parameters": [_TOKEN],
        "responses": dict(responses),
    }


def _call(call: str) -> dict[str, Any]:
    one: dict[str, Any] = {"type": "object", "properties": {"userId": {"type": "string"}}}
    batch = {"type": "object", "required": ["batch"], "properties": {"batch": {"type": "array", "items": one}}}
    return {
        "tags": ["pages"],
        "operationId": f"post_{call}",
        "summary": f"Segment's {call}",
        "description": ABOUT_CALL,
        "security": [],
        "requestBody": {"required": True, "content": {JSON: {"schema": batch if call == "batch" else one}}},
        "responses": {"200": _answered("Stored durably", {**_PARTLY, "required": ["success", "accepted"]})},
    }
