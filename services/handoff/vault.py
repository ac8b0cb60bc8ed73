"""Secrets of destinations: encrypted where they are stored."""

import base64
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from shared.codec import decode, encode
from shared.errors import ConfigError, ProblemError
from shared.settings import Settings

# 6 MiB, loaded where there is a destination with secrets.
if TYPE_CHECKING:
    from cryptography.fernet import Fernet

_PURPOSE = b"kizashi/handoff/destinations/v1"


class Vault:
    """Seals and opens with a key derived from the identity secret, which lives as long as the data does.

    A service without that secret starts all the same: it has no destinations, and refuses to make any.
    """

    def __init__(self, settings: Settings) -> None:
        try:
            self._key: bytes | None = settings.identity_key
        except ConfigError:
            self._key = None

    @cached_property
    def _fernet(self) -> "Fernet | None":
        if self._key is None:
            return None
        from cryptography.fernet import Fernet  # noqa: PLC0415
        from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415

        derived = HKDF(hashes.SHA256(), 32, salt=None, info=_PURPOSE).derive(self._key)
        return Fernet(base64.urlsafe_b64encode(derived))

    def seal(self, secrets: Mapping[str, Any]) -> bytes:
        """As stored. Raises ProblemError 503 where the service has no identity secret."""
        if self._fernet is None:
            detail = "The service has no KIZASHI_IDENTITY_SECRET to keep secrets of destinations with."
            raise ProblemError(503, "no_identity_secret", detail)
        return self._fernet.encrypt(encode(secrets))

    def open(self, sealed: bytes) -> dict[str, Any] | None:
        """The secrets again; None where they were sealed with another identity secret."""
        if self._fernet is None:
            return None
        from cryptography.fernet import InvalidToken  # noqa: PLC0415

        try:
            opened: dict[str, Any] = decode(self._fernet.decrypt(sealed))
        except InvalidToken:
            return None
        return opened
