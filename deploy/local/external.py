"""Servers of the user's own, which the environment names instead of ours."""

from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

from shared.errors import KizashiError
from shared.settings import Settings

VARIABLES = {"kafka": "KIZASHI_KAFKA__BOOTSTRAP_SERVERS", "postgres": "KIZASHI_DATABASE__URL"}


def embedded_servers(env: Mapping[str, str], settings: Settings) -> tuple[str, ...]:
    """Which servers the stack runs itself: those the environment does not name.

    Raises KizashiError where that would be any in production.
    """
    embedded = tuple(name for name, variable in VARIABLES.items() if not {variable, f"{variable}_FILE"} & env.keys())
    if embedded and settings.env == "production":
        raise KizashiError(
            f"KIZASHI_ENV=production needs servers of your own, those of the local stack trust everyone on this "
            f"machine: set {' and '.join(VARIABLES[name] for name in embedded)}"
        )
    return embedded


def without_password(url: str) -> str:
    """The same URL, fit to be shown."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    query = "&".join(item for item in parts.query.split("&") if not item.startswith("password="))
    return parts._replace(netloc=f"{parts.username}@{host}" if parts.username else host, query=query).geturl()


def password_of(url: str) -> str | None:
    """The password that `without_password` leaves out; None where there is none."""
    parts = urlsplit(url)
    return unquote(parts.password) if parts.password else dict(parse_qsl(parts.query)).get("password")
