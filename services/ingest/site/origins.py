"""Who may send from a browser. A browser says from which page a request comes, and only pages listed may send."""

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple
from urllib.parse import urlsplit

from shared.errors import ProblemError
from shared.web import RawHeaders

MAX_AGE_S = 600


class Readable(NamedTuple):
    """The headers of an answer that the sender's page may read, as texts and as they are sent."""

    headers: Mapping[str, str]
    lines: tuple[tuple[bytes, bytes], ...]


NO_BROWSER = Readable({}, ())


def origin_of(headers: Mapping[bytes, bytes]) -> str | None:
    """The origin a request states, by the page it names where it states none; None for senders that are no browsers."""
    stated = headers.get(b"origin")
    if stated is not None:
        return stated.decode("latin-1").strip().lower()
    referer = headers.get(b"referer", b"").decode("latin-1")
    if not referer.startswith(("http://", "https://")):
        return None
    try:
        parts = urlsplit(referer)
    except ValueError:
        return None
    return f"{parts.scheme}://{parts.netloc}".lower()


def admitted(headers: Mapping[bytes, bytes], allowed: frozenset[str]) -> Readable:
    """What lets the sender's page read the answer; empty for a sender that is no browser.

    Raises ProblemError 403 `origin_not_allowed`. Checked on the request itself, since a plain form needs no leave.
    """
    origin = origin_of(headers)
    if origin is None:
        return NO_BROWSER
    if origin not in allowed:
        raise ProblemError(403, "origin_not_allowed", _refusal(origin), headers={"Vary": "Origin"})
    return _readable(origin)


# Only origins that are allowed come here, and those are few.
@cache
def _readable(origin: str) -> Readable:
    headers = {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
    return Readable(headers, tuple(raw_headers(headers)))


def raw_headers(headers: Mapping[str, str]) -> RawHeaders:
    """Headers as they are sent."""
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]


def leave(headers: Mapping[bytes, bytes], allowed: frozenset[str], extra: str = "") -> dict[str, str]:
    """The headers that answer a browser's question before it sends (a preflight). Raises ProblemError 403."""
    return {
        **admitted(headers, allowed).headers,
        "Access-Control-Allow-Methods": "POST, OPTIONS",
        "Access-Control-Allow-Headers": f"content-type{extra}",
        "Access-Control-Max-Age": str(MAX_AGE_S),
    }


def _refusal(origin: str) -> str:
    if origin == "null":
        return "The page hides where it stands (a Referrer-Policy of no-referrer, a file, or a sandbox)."
    return "Pages of this origin may not send here; list it under allowed_origins in sources.yaml."
