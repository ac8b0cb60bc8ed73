"""What a page's Content-Security-Policy lets through, as far as forms and the tag need it.

Source: CSP Level 3, source lists; paths are left aside.
"""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

_FALLBACK = {"connect-src": "default-src", "script-src": "default-src"}
_HOST = re.compile(r"(?:([a-z][a-z0-9+.-]*)://)?(\*|(?:\*\.)?[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(\d+|\*))?(?:/.*)?")


def refusing(policies: Iterable[str], directive: str, url: str, page_url: str) -> str | None:
    """The directive of the first policy that refuses `url`, None if all let it through."""
    for policy in policies:
        parts = (part.split() for part in policy.lower().split(";"))
        directives = {words[0]: words[1:] for words in parts if words}
        name = directive if directive in directives else _FALLBACK.get(directive, "")
        if name in directives and not any(_matches(source, url, page_url) for source in directives[name]):
            return f"{name} {' '.join(directives[name])}".strip()
    return None


def _matches(source: str, url: str, page_url: str) -> bool:
    target, page = urlsplit(url.lower()), urlsplit(page_url.lower())
    if source == "'self'":
        return (target.scheme, target.netloc) == (page.scheme, page.netloc)
    if source.endswith(":") and "/" not in source:
        return source[:-1] in (target.scheme, "http" if target.scheme == "https" else target.scheme)
    if source == "*":
        return target.scheme in ("http", "https")
    found = _HOST.fullmatch(source)
    if found is None:
        return False
    scheme, host, port = found.groups()
    wanted = scheme or page.scheme
    if target.scheme != wanted and not (wanted == "http" and target.scheme == "https"):
        return False
    name = target.hostname or ""
    fits = name == host.strip("[]") or (host.startswith("*.") and name.endswith(host[1:])) or host == "*"
    default = 443 if target.scheme == "https" else 80
    return fits and (port == "*" or int(port or default) == (target.port or default))
