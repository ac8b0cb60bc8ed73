"""One HTTP POST as an attempt: what is kept of it, and what its answer means."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from services.handoff.core.destination import MASK
from services.handoff.core.retry import retry_after
from services.handoff.destinations.base import MAX_ANSWER_TEXT, MAX_REQUEST_TEXT, Report, shown_text
from shared.outgoing import AddressRefused, Answer, Call, Outgoing, TooLong, Unanswered

GONE = 410
_SECRET_ANSWERS = frozenset(("set-cookie", "www-authenticate", "authorization", "proxy-authenticate"))
MAX_ANSWER_HEADERS = 40


async def post(
    outgoing: Outgoing, call: Call, now: datetime, *, hidden: Collection[str] = (), shown_url: str | None = None
) -> Report:
    """Make the call. 2xx is delivered; everything else is a failure, redirects too; 410 wants nothing more.

    `hidden` are names of request headers whose values are not kept.
    """
    request = {
        "method": call.method,
        "url": shown_url or without_query(call.url),
        "headers": {name: MASK if name in hidden else value for name, value in call.headers.items()},
        "body": shown_text(call.body, MAX_REQUEST_TEXT),
    }
    try:
        answer = await outgoing.send(call)
    except (AddressRefused, Unanswered, TooLong) as error:
        return Report(request, problem=str(error))
    if 200 <= answer.status < 300:
        return Report(request, _kept(answer))
    return Report(
        request,
        _kept(answer),
        problem=_said(answer.status),
        asked=retry_after(answer.headers, now),
        gone=answer.status == GONE,
    )


def without_query(url: str) -> str:
    """A URL as it may be shown: what stands behind `?` is often a secret."""
    return f"{url.partition('?')[0]}?{MASK}" if "?" in url else url


def host_of(url: str) -> str:
    """The host alone, of a URL that is a secret as a whole."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}/{MASK}"


def _said(status: int) -> str:
    if 300 <= status < 400:
        return f"answered {status}: redirects are not followed"
    return f"answered {status}: wants nothing more" if status == GONE else f"answered {status}"


def _kept(answer: Answer) -> Mapping[str, Any]:
    names = sorted(answer.headers)[:MAX_ANSWER_HEADERS]
    return {
        "status": answer.status,
        "headers": {
            shown_text(name.encode("latin-1"), 200): MASK
            if name in _SECRET_ANSWERS
            else shown_text(answer.headers[name].encode("latin-1"), 500)
            for name in names
        },
        "body": shown_text(answer.body, MAX_ANSWER_TEXT),
        "cut": answer.cut or len(answer.body) > MAX_ANSWER_TEXT,
    }
