"""Which URLs may be called, as far as their text tells. Pure."""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Self
from urllib.parse import urlsplit

from shared.errors import ConfigError, KizashiError
from shared.outgoing.addresses import is_public

MAX_URL = 2_048
_TEXT = re.compile(r"[!#$%&'()*+,\-./0-9:;=?@A-Z_a-z~\[\]]+")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_LISTED = re.compile(r"(?:[a-z0-9_.-]+|\[[0-9a-f:.]+\]):[0-9]{1,5}")
# What a browser reads as an IPv4 address: a last label of digits, or of hexadecimal digits behind 0x.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
# Names that never mean a machine on the public internet (RFC 6761, RFC 6762, RFC 8375, ICANN's list for private use).
_PRIVATE = frozenset(
    "localhost local localdomain internal intranet private corp home lan arpa onion test invalid example".split()
)


class AddressRefused(KizashiError):
    """Nothing is sent to this address; the text says why without quoting what may be secret in it."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL leads. `host` is in lower case, without brackets; `listed`: on the list of exceptions."""

    secure: bool
    host: str
    port: int
    listed: bool

    @property
    def literal(self) -> IPv4Address | IPv6Address | None:
        """The host as an IP address, None for a name."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Rules:
    """https to names and addresses of the public internet, and whatever `allowed` lists as `host:port`."""

    allowed: frozenset[str] = frozenset()

    @classmethod
    def of(cls, listed: str) -> Self:
        """From `host:port` with commas between. Raises ConfigError."""
        entries = frozenset(entry.strip().lower() for entry in listed.split(",") if entry.strip())
        for entry in entries:
            if not _LISTED.fullmatch(entry) or not 0 < int(entry.rpartition(":")[2]) < 65_536:
                raise ConfigError("KIZASHI_OUTGOING__ALLOW", "host:port, several with commas between")
        return cls(entries)

    def target(self, url: str) -> Target:
        """Where `url` leads. Raises AddressRefused."""
        if len(url) > MAX_URL or not _TEXT.fullmatch(url):
            raise AddressRefused("the address holds characters that no URL has, or is too long")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise AddressRefused("the address is not a URL") from None
        if parts.scheme not in ("http", "https") or not host:
            raise AddressRefused("the address is not https://…")
        if "@" in parts.netloc or "#" in url:
            raise AddressRefused("the address holds credentials or a fragment")
        if port == 0 or parts.netloc.endswith(":"):
            raise AddressRefused("the address names no port behind its colon")
        secure = parts.scheme == "https"
        port = port or (443 if secure else 80)
        if f"{_bracketed(host)}:{port}" in self.allowed:
            return Target(secure, host, port, listed=True)
        if not secure:
            raise AddressRefused("the address is not https://…")
        if port != 443 and port < 1_024:
            raise AddressRefused("the port is that of another protocol")
        _check_host(host, bracketed="[" in parts.netloc)
        return Target(secure, host, port, listed=False)

    @staticmethod
    def check(target: Target, found: Iterable[str]) -> list[str]:
        """The addresses that a name was resolved to, if all of them may be called. Raises AddressRefused.

        One that may not condemns the others: a name that leads to both is made to deceive.
        """
        addresses = list(dict.fromkeys(found))
        if not target.listed and not all(_public(address) for address in addresses):
            raise AddressRefused("the name leads to an address that is not public")
        return addresses


def _check_host(host: str, *, bracketed: bool) -> None:
    if bracketed:
        if not _public(host):
            raise AddressRefused("the address is not public")
        return
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        # One way of writing only: others are read differently by different programs.
        if not _public(host):
            raise AddressRefused("the address is not public, or not written as four decimal numbers")
        return
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise AddressRefused("the host is not a name of the public internet")
    if len(labels) < 2 or labels[-1] in _PRIVATE:
        raise AddressRefused("the host is a name of a private network")


def _public(text: str) -> bool:
    try:
        return is_public(ipaddress.ip_address(text))
    except ValueError:
        return False


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
