"""Errors as `application/problem+json` (RFC 9457): a stable `code`, a title in the reader's language, JSON pointers."""

from collections.abc import Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from shared.codec import encode
from shared.errors import FieldFault, ProblemError, pointer

RawHeaders = list[tuple[bytes, bytes]]
Answer = tuple[int, RawHeaders, bytes]
"""What is sent: status, headers, body."""

MEDIA_TYPE = b"application/problem+json"
CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    408: "request_timeout",
    409: "conflict",
    412: "precondition_failed",
    413: "too_large",
    415: "unsupported_media_type",
    422: "invalid_fields",
    428: "precondition_required",
    429: "too_many_requests",
    431: "headers_too_large",
    500: "internal_error",
    503: "unavailable",
}
"""The code of a status where nothing more exact is known."""

TITLES = {
    400: ("Bad request", "リクエストを読み取れません"),
    401: ("Not authorised", "認証が必要です"),
    403: ("Not allowed", "権限がありません"),
    404: ("Not found", "見つかりません"),
    405: ("Method not allowed", "このメソッドは使えません"),
    406: ("Not acceptable", "要求された形式では返せません"),
    408: ("Too slow", "時間切れです"),
    409: ("Conflict", "現在の状態と矛盾します"),
    412: ("Changed meanwhile", "ほかで変更されています"),
    413: ("Too large", "大きすぎます"),
    415: ("Unsupported media type", "この形式は受け付けていません"),
    422: ("Invalid fields", "項目に誤りがあります"),
    428: ("Precondition required", "前提条件の指定が必要です"),
    429: ("Too many requests", "リクエストが多すぎます"),
    431: ("Headers too large", "ヘッダーが大きすぎます"),
    500: ("Internal error", "内部エラー"),
    503: ("Not available now", "現在利用できません"),
}
DEFAULT_TITLE = ("Error", "エラー")
MAX_FAULTS = 100
"""A faulty array of 1,000 activities need not be answered with a megabyte."""


def problem(error: ProblemError, *, japanese: bool = False, extra: dict[str, Any] | None = None) -> Answer:
    """The answer for `error`; `type` is the address, on the same service, of the page that explains the code."""
    body: dict[str, Any] = {
        "type": f"/problems/{error.code}",
        "title": TITLES.get(error.status, DEFAULT_TITLE)[japanese],
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        **(extra or {}),
    }
    if error.errors:
        body["errors"] = [{"pointer": fault.pointer, "detail": fault.detail} for fault in error.errors[:MAX_FAULTS]]
    headers = [(b"content-type", MEDIA_TYPE), (b"content-language", b"ja" if japanese else b"en")]
    headers += [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in error.headers.items()]
    return error.status, headers, encode(body)


def prefers_japanese(accept_language: str) -> bool:
    """Whether the first language of an `Accept-Language` header is Japanese."""
    return accept_language.lstrip()[:2].lower() == "ja"


def from_http_exception(error: HTTPException) -> ProblemError:
    """The framework's own errors (404, 405, 413 …) in our form."""
    detail = error.detail if isinstance(error.detail, str) else CODES.get(error.status_code, "error")
    code = CODES.get(error.status_code, f"http_{error.status_code}")
    return ProblemError(error.status_code, code, detail, headers=error.headers)


def from_validation_error(error: RequestValidationError, *, json_body: bool) -> ProblemError:
    """What does not fit a route's types: 422, or 415 where the body was never read because it is not called JSON."""
    found = list(error.errors())
    if not json_body and any(item["loc"][:1] == ("body",) for item in found):
        return ProblemError(415, CODES[415], "Expected a body with Content-Type: application/json.")
    return ProblemError(422, CODES[422], "Some fields are not as expected.", _faults(found))


def _faults(found: Sequence[Any]) -> list[FieldFault]:
    """Pydantic's faults; its `input` stays out, since it may be personal. Parameters point to /query/… or /path/…"""
    faults = []
    for item in found:
        where, *path = item["loc"] or ("",)
        steps = path if where == "body" else [where, *path]
        faults.append(FieldFault(pointer(steps), str(item["msg"]).removeprefix("Value error, ")))
    return faults
