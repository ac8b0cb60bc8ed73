"""Signatures of outgoing webhooks. Pure.

Source: Standard Webhooks 1.0, "Webhook metadata" and "Signature scheme" (symmetric, v1).
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from datetime import datetime

PREFIX = "whsec_"
MIN_BYTES, MAX_BYTES = 24, 64


def new_secret(random: bytes) -> str:
    """A secret in the form that receivers' libraries take; `random` are 24 to 64 bytes nobody knows."""
    return PREFIX + base64.b64encode(random).decode()


def secret_key(secret: str) -> bytes:
    """The key inside of a secret. Raises ValueError saying what was expected, without quoting it."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not MIN_BYTES <= len(key) <= MAX_BYTES:
        raise ValueError(f"expected whsec_ and the base64 of {MIN_BYTES} to {MAX_BYTES} random bytes")
    return key


def signed_headers(id_: str, at: datetime, body: bytes, secrets: Iterable[str]) -> dict[str, str]:
    """The three headers of a webhook; one signature per secret, so that a receiver may still know the former one."""
    stamp = str(int(at.timestamp()))
    content = f"{id_}.{stamp}.".encode() + body
    signatures = [
        base64.b64encode(hmac.new(secret_key(secret), content, hashlib.sha256).digest()).decode() for secret in secrets
    ]
    return {
        "webhook-id": id_,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }
