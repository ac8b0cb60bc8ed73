"""Signatures, as the library of the specification's authors checks them."""

import base64
from datetime import UTC, datetime

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from services.handoff.core.signing import new_secret, secret_key, signed_headers

BODY = '{"type":"lead.qualified.v1","data":{"名":"山田"}}'.encode()
OLD, NEW = new_secret(b"o" * 32), new_secret(b"n" * 32)


def headers(*secrets: str) -> dict[str, str]:
    return signed_headers("msg_1", datetime.now(UTC), BODY, secrets)


def test_the_reference_library_accepts_it_and_no_other_body() -> None:
    assert Webhook(NEW).verify(BODY, headers(NEW))["type"] == "lead.qualified.v1"
    with pytest.raises(WebhookVerificationError):
        Webhook(NEW).verify(BODY + b" ", headers(NEW))


def test_during_a_rotation_either_secret_verifies() -> None:
    signed = headers(NEW, OLD)
    assert signed["webhook-signature"].count("v1,") == 2
    for secret in (OLD, NEW):
        assert Webhook(secret).verify(BODY, signed)
    with pytest.raises(WebhookVerificationError):
        Webhook(OLD).verify(BODY, headers(NEW))


def test_a_known_signature() -> None:
    """The vector of the specification's own tests."""
    at = datetime.fromtimestamp(1_614_265_330, UTC)
    signed = signed_headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek", at, b'{"test": 2432232314}', ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]
    )
    assert signed["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("size", [24, 64])
def test_secrets_are_what_they_were_made_from(size: int) -> None:
    assert secret_key(new_secret(b"x" * size)) == b"x" * size


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "whsec_kurz", f"whsec_{base64.b64encode(b'x' * 65).decode()}", "whsec_ä"]
)
def test_a_secret_of_another_form_is_refused_unquoted(secret: str) -> None:
    with pytest.raises(ValueError, match="expected whsec_") as caught:
        secret_key(secret)
    assert secret.removeprefix("whsec_") not in str(caught.value) or secret in ("", "whsec_")
