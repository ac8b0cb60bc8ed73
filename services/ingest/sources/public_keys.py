"""Signatures that are checked by a public key.

To be imported where one is to be checked, not ahead: the library takes 8 MiB, and most tools sign by a shared secret.
"""

import base64
import binascii
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

_SHA256 = ec.ECDSA(hashes.SHA256())


@lru_cache(maxsize=256)
def p256(secret: str) -> ec.EllipticCurvePublicKey | None:
    """The P-256 key of a base64 or PEM text, None if it is none."""
    lines = [line for line in secret.split() if line]
    written = (
        "".join(line for line in secret.splitlines() if "-----" not in line) if "-----" in secret else "".join(lines)
    )
    try:
        key = load_der_public_key(base64.b64decode(written, validate=True))
    except (ValueError, binascii.Error, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1) else None


def signed_by_p256(key: ec.EllipticCurvePublicKey, signature: bytes, signed: bytes) -> bool:
    """Whether `signature` (DER) is that of `signed`, by ECDSA with SHA-256."""
    try:
        key.verify(signature, signed, _SHA256)
    except InvalidSignature:
        return False
    return True


def signed_by_ed25519(public: bytes, signature: bytes, signed: bytes) -> bool:
    """Whether `signature` is that of `signed` by this key of 32 bytes; False where it is no key."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, signed)
    except (InvalidSignature, ValueError):
        return False
    return True
