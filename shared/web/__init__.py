"""The HTTP side that all services share."""

from shared.web.app import DEGRADED, MAX_BODY, Lifespan, Readiness, create_app, respond
from shared.web.auth import require
from shared.web.edge import is_json
from shared.web.lean import (
    ClientGone,
    LeanHandler,
    LeanRequest,
    LeanRoute,
    StreamedAnswer,
    inflated,
    read_body,
    too_large,
)
from shared.web.openapi import PROBLEM_RESPONSE, committed_form
from shared.web.pages import (
    MAX_LIMIT,
    Page,
    PageQuery,
    decode_cursor,
    encode_cursor,
    number_in,
    page_of,
    paginate,
    text_in,
)
from shared.web.problems import Answer, RawHeaders, problem
from shared.web.queries import instant_in, invalid_parameter
from shared.web.server import serve
from shared.web.shares import DifferenceView, ShareView

__all__ = [
    "DEGRADED",
    "MAX_BODY",
    "MAX_LIMIT",
    "PROBLEM_RESPONSE",
    "Answer",
    "ClientGone",
    "DifferenceView",
    "LeanHandler",
    "LeanRequest",
    "LeanRoute",
    "Lifespan",
    "Page",
    "PageQuery",
    "RawHeaders",
    "Readiness",
    "ShareView",
    "StreamedAnswer",
    "committed_form",
    "create_app",
    "decode_cursor",
    "encode_cursor",
    "inflated",
    "instant_in",
    "invalid_parameter",
    "is_json",
    "number_in",
    "page_of",
    "paginate",
    "problem",
    "read_body",
    "require",
    "respond",
    "serve",
    "text_in",
    "too_large",
]
