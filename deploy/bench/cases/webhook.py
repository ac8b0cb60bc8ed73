"""A tool's webhook: SendGrid's signed batches, beside the same many activities posted as they are."""

import base64
import hashlib
from collections.abc import Iterator

import orjson
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

EVENTS = 100
BODIES = 100
SOURCE = "sendgrid"
"""Its name in config/sources.yaml, where the public half of `key` stands."""

_KINDS = ("processed", "delivered", "open", "click")
_STARTED = 1_795_000_000


def key() -> ec.EllipticCurvePrivateKey:
    """The key of the measurement's sender: no secret, and the same every time."""
    number = int.from_bytes(hashlib.sha256(b"kizashi bench sendgrid").digest(), "big") >> 1
    return ec.derive_private_key(number, ec.SECP256R1())


def public_key() -> str:
    """The public half, as SendGrid shows it: base64 of the key's DER form."""
    raw = key().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(raw).decode()


def requests() -> Iterator[tuple[bytes, list[str]]]:
    """Bodies of 100 events, each with the headers that sign it."""
    sender, stamp = key(), str(_STARTED)
    for number in range(BODIES):
        body = orjson.dumps([_event(number * EVENTS + place) for place in range(EVENTS)])
        signature = sender.sign(stamp.encode() + body, ec.ECDSA(hashes.SHA256()))
        signed = base64.b64encode(signature).decode()
        yield (
            body,
            [
                f"X-Twilio-Email-Event-Webhook-Signature: {signed}",
                f"X-Twilio-Email-Event-Webhook-Timestamp: {stamp}",
            ],
        )


def _event(number: int) -> dict[str, object]:
    """What SendGrid tells of one mail, with the fields it always sends."""
    event: dict[str, object] = {
        "email": f"lead-{number % 2_000}@example.co.jp",
        "timestamp": _STARTED - number % 86_400,
        "smtp-id": f"<14c5d75ce93.dfd.{number:x}@ismtpd-555>",
        "event": _KINDS[number % len(_KINDS)],
        "category": ["newsletter"],
        "sg_event_id": f"event-{number:08d}==",
        "sg_message_id": f"14c5d75ce93.dfd.{number // 4:x}.filter0001.16648.5515E0B88.0",
    }
    if event["event"] in ("open", "click"):
        event |= {"useragent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64)", "ip": f"198.51.100.{number % 250}"}
    if event["event"] == "click":
        event |= {"url": f"https://www.example.co.jp/articles/{number % 40}"}
    return event
