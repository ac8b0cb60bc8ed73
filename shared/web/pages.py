"""Lists by cursor: `{"items": […]}`, `limit`, `after`, and `Link: rel="next"`."""

import base64
import binascii
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
from fastapi import Depends, Query, Request, Response
from fastapi.dependencies.models import Dependant

from shared.codec import encode, has_nul
from shared.errors import FieldFault, ProblemError, pointer

MAX_LIMIT = 1_000
DEFAULT_LIMIT = 100


@dataclass(frozen=True, slots=True)
class Page:
    """What part of a list is asked for: at most `limit` items after the one whose sort values are `after`."""

    limit: int
    after: tuple[Any, ...] | None

    def place(self, *kinds: Callable[[Any], Any]) -> tuple[Any, ...] | None:
        """The sort values to go on after, each read by its kind; None on the first page.

        Raises ProblemError 422 `invalid_cursor` where they are those of another list: more or fewer, or other values.
        """
        if self.after is None:
            return None
        try:
            return tuple(kind(value) for kind, value in zip(kinds, self.after, strict=True))
        except (ValueError, TypeError, AttributeError):
            raise _other_list() from None


def page_of(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="At most so many items.")] = DEFAULT_LIMIT,
    after: Annotated[str | None, Query(max_length=1_024, description="From the `next` link of a page.")] = None,
) -> Page:
    """Dependency: the page a request asks for. Raises ProblemError 422 for a cursor this service did not give out, and
    for a parameter the list does not know: a filter misspelt would otherwise answer with everything.
    """
    _refuse_unknown(request)
    return Page(limit, decode_cursor(after) if after else None)


def _parameters(dependant: Dependant) -> Iterator[str]:
    yield from (one.alias for one in dependant.query_params)
    for inner in dependant.dependencies:
        yield from _parameters(inner)


def _refuse_unknown(request: Request) -> None:
    known = sorted(_parameters(request.scope["route"].dependant))
    if unknown := [name for name in request.query_params if name not in known]:
        detail = f"expected one of {', '.join(known)}"
        faults = [FieldFault(pointer(["query", name]), detail) for name in unknown]
        raise ProblemError(422, "invalid_parameter", "A parameter cannot be used.", faults)


PageQuery = Annotated[Page, Depends(page_of)]


def encode_cursor(values: Sequence[Any]) -> str:
    """Sort values of the last item of a page as one opaque text."""
    return base64.urlsafe_b64encode(orjson.dumps(list(values))).decode().rstrip("=")


def decode_cursor(text: str) -> tuple[Any, ...]:
    """The sort values again. Raises ProblemError 422 `invalid_cursor`."""
    try:
        values = orjson.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error):
        values = None
    if not isinstance(values, list) or has_nul(values):
        raise _other_list()
    return tuple(values)


def text_in(value: Any) -> str:
    """A sort value that is a text. Raises TypeError for another."""
    if not isinstance(value, str):
        raise TypeError("expected a text")
    return value


def number_in(value: Any) -> int:
    """A sort value that is a number of a row or version. Raises TypeError or ValueError for another."""
    if type(value) is not int:
        raise TypeError("expected a whole number")
    if not 0 <= value < 2**31:
        raise ValueError("expected a number that a column can hold")
    return value


def _other_list() -> ProblemError:
    fault = FieldFault("/query/after", "expected the value of a page's `next` link")
    return ProblemError(422, "invalid_cursor", "The cursor is not one of this list.", [fault])


def paginate(request: Request, items: Sequence[Any], next_after: Sequence[Any] | None) -> Response:
    """One page. `next_after`: sort values of the last item if there may be more, None on the last page."""
    headers = {}
    if next_after is not None:
        following = request.url.include_query_params(after=encode_cursor(next_after))
        headers["Link"] = f'<{following}>; rel="next"'
    return Response(encode({"items": list(items)}), media_type="application/json", headers=headers)
