"""The tools' side: how each signs a delivery, written anew from its description."""

import base64
import hashlib
import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import parse_qsl

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.ingest.sources.base import Delivery, Headers

URL = "https://leads.example.co.jp/v1/webhooks/main?from=tool"
Signer = Callable[[str, bytes, datetime], dict[str, str]]


def _mac(secret: str, text: bytes, algorithm: str = "sha256") -> bytes:
    return hmac.new(secret.encode(), text, algorithm).digest()


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _seconds(now: datetime) -> str:
    return str(int(now.timestamp()))


def standard_webhooks(secret: str, body: bytes, now: datetime) -> dict[str, str]:
    key, stamp = base64.b64decode(secret.removeprefix("whsec_")), _seconds(now)
    mac = hmac.new(key, f"msg_1.{stamp}.".encode() + body, "sha256").digest()
    return {"webhook-id": "msg_1", "webhook-timestamp": stamp, "webhook-signature": f"v1,{_b64(mac)}"}


def hubspot(secret: str, body: bytes, now: datetime) -> dict[str, str]:
    stamp = str(int(now.timestamp() * 1000))
    text = b"POST" + URL.encode() + body + stamp.encode()
    return {"X-HubSpot-Signature-v3": _b64(_mac(secret, text)), "X-HubSpot-Request-Timestamp": stamp}


def mandrill(secret: str, body: bytes, now: datetime) -> dict[str, str]:
    # Latin-1 there and back keeps every byte as it was sent.
    fields = sorted(parse_qsl(body.decode("latin-1"), keep_blank_values=True, encoding="latin-1"))
    text = URL + "".join(name + value for name, value in fields)
    return {"X-Mandrill-Signature": _b64(_mac(secret, text.encode("latin-1"), "sha1"))}


def stamped(header: str) -> Signer:
    def sign(secret: str, body: bytes, now: datetime) -> dict[str, str]:
        stamp = _seconds(now)
        return {header: f"t={stamp},v1={_mac(secret, stamp.encode() + b'.' + body).hex()}"}

    return sign


def v0(header: str, stamp_header: str, prefix: str) -> Signer:
    def sign(secret: str, body: bytes, now: datetime) -> dict[str, str]:
        stamp = _seconds(now)
        mac = _mac(secret, b"v0:" + stamp.encode() + b":" + body).hex()
        return {header: prefix + mac, stamp_header: stamp}

    return sign


def klaviyo(secret: str, body: bytes, now: datetime) -> dict[str, str]:
    stamp = format_datetime(now.astimezone(UTC), usegmt=True)
    return {"Klaviyo-Signature": _mac(secret, body + stamp.encode()).hex(), "Klaviyo-Timestamp": stamp}


def sendgrid(secret: str, body: bytes, now: datetime) -> dict[str, str]:
    stamp = _seconds(now)
    signature = _private(secret).sign(stamp.encode() + body, ec.ECDSA(hashes.SHA256()))
    return {
        "X-Twilio-Email-Event-Webhook-Signature": _b64(signature),
        "X-Twilio-Email-Event-Webhook-Timestamp": stamp,
    }


def _private(secret: str) -> ec.EllipticCurvePrivateKey:
    """The private half of a public key; the pairs follow from texts, so that no key is stored."""
    return next(key for key in _PAIRS.values() if sendgrid_public(key) == secret)


def sendgrid_public(key: ec.EllipticCurvePrivateKey) -> str:
    return _b64(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


_PAIRS = {
    name: ec.derive_private_key(int.from_bytes(hashlib.sha256(name.encode()).digest(), "big") >> 1, ec.SECP256R1())
    for name in ("right", "other")
}
SENDGRID_KEY, SENDGRID_OTHER_KEY = sendgrid_public(_PAIRS["right"]), sendgrid_public(_PAIRS["other"])


def repeated(header: str, form: str = "{}") -> Signer:
    """A tool that only repeats the secret."""

    def sign(secret: str, body: bytes, now: datetime) -> dict[str, str]:
        return {header: form.format(secret)}

    return sign


def basic(user: str) -> Signer:
    def sign(secret: str, body: bytes, now: datetime) -> dict[str, str]:
        return {"Authorization": f"Basic {_b64(f'{user}:{secret}'.encode())}"}

    return sign


def untimed(header: str, mac: Callable[[str, bytes], str]) -> Signer:
    def sign(secret: str, body: bytes, now: datetime) -> dict[str, str]:
        return {header: mac(secret, body)}

    return sign


SIGNERS: dict[str, Signer] = {
    "standard-webhooks": standard_webhooks,
    "hubspot": hubspot,
    "marketo": repeated("X-Kizashi-Secret"),
    "account-engagement": repeated("Authorization", "Bearer {}"),
    "salesforce": basic("sf"),
    "mautic": untimed("Webhook-Signature", lambda secret, body: _b64(_mac(secret, body))),
    "mailchimp": stamped("X-Mailchimp-Signature"),
    "mandrill": mandrill,
    "sendgrid": sendgrid,
    "postmark": basic("postmark"),
    "brevo": repeated("Authorization", "Bearer {}"),
    "activecampaign": basic("ac"),
    "customerio": v0("X-CIO-Signature", "X-CIO-Timestamp", ""),
    "klaviyo": klaviyo,
    "segment": untimed("X-Signature", lambda secret, body: _mac(secret, body, "sha1").hex()),
    "rudderstack": repeated("X-Any-Name"),
    "typeform": untimed("Typeform-Signature", lambda secret, body: "sha256=" + _b64(_mac(secret, body))),
    "calendly": stamped("Calendly-Webhook-Signature"),
    "google-ads": untimed("X-Nothing", lambda *_: ""),
    "meta": untimed("X-Hub-Signature-256", lambda secret, body: "sha256=" + _mac(secret, body).hex()),
    "linkedin": untimed("X-LI-Signature", lambda secret, body: _mac(secret, b"hmacsha256=" + body).hex()),
    "zoom": v0("x-zm-signature", "x-zm-request-timestamp", "v0="),
    "eventbrite": repeated("X-Secret"),
    "generic": repeated("X-Secret"),
}


def delivered(adapter: str, secret: str, body: bytes, content_type: str, now: datetime) -> Delivery:
    """The delivery of `body` as the tool would send it, signed with `secret`."""
    headers = {"Content-Type": content_type, **SIGNERS[adapter](secret, body, now)}
    return Delivery("POST", URL, Headers(headers.items()), body)
