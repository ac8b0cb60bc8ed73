"""What a tracked link or an open pixel carries: who got it, in which mail, and where it leads. Sealed, so that nobody
else can make one, and so that no address of a person stands readable in a URL.

Source: RFC 5297 (AES-SIV): authenticated, and the same contents give the same token.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ormsgpack

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

MAX_TOKEN = 6_144
MAX_VERSION = 255


class BadToken(ValueError):
    """Nobody with our key made this token, or its key version is no longer taken."""


@dataclass(frozen=True, slots=True)
class Mark:
    """The contents of one token. `url` is None for an open pixel; `sent_at` is in Unix seconds; `honeypot`: a link that
    people do not see.
    """

    url: str | None
    email: str | None = None
    external_id: str | None = None
    email_id: str | None = None
    campaign: str | None = None
    link: str | None = None
    sent_at: int | None = None
    honeypot: bool = False


class Tokens:
    """Seals and opens tokens. The keys follow from the identity secret; `version` is the one new tokens are made with,
    and those below `oldest` are no longer opened.
    """

    def __init__(self, identity_key: bytes, version: int = 1, oldest: int = 1) -> None:
        self._identity_key = identity_key
        self._version = version
        self._oldest = oldest
        self._ciphers: dict[int, AESSIV] = {}

    def seal(self, mark: Mark) -> str:
        """The token, in characters of a URL's path."""
        fields = [
            mark.url,
            mark.email,
            mark.external_id,
            mark.email_id,
            mark.campaign,
            mark.link,
            mark.sent_at,
            mark.honeypot,
        ]
        sealed = self._cipher(self._version).encrypt(ormsgpack.packb(fields), None)
        return base64.urlsafe_b64encode(bytes([self._version]) + sealed).rstrip(b"=").decode()

    def open(self, token: str) -> Mark:
        """The contents. Raises BadToken."""
        if not 0 < len(token) <= MAX_TOKEN or not token.isascii():
            raise BadToken
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except binascii.Error:
            raise BadToken from None
        if len(raw) < 18 or not self._oldest <= raw[0] <= self._version:
            raise BadToken
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - as the cipher

        try:
            fields: list[Any] = ormsgpack.unpackb(self._cipher(raw[0]).decrypt(raw[1:], None))
        except (InvalidTag, ValueError):
            raise BadToken from None
        return Mark(*fields[:8])

    def _cipher(self, version: int) -> "AESSIV":
        cipher = self._ciphers.get(version)
        if cipher is None:
            # Not ahead: it takes 8 MiB, and many sites track no links.
            from cryptography.hazmat.primitives.ciphers.aead import AESSIV  # noqa: PLC0415

            named = b"kizashi link v%d" % version
            key = hashlib.blake2b(named, key=hashlib.sha256(self._identity_key).digest(), digest_size=64).digest()
            cipher = self._ciphers[version] = AESSIV(key)
        return cipher
