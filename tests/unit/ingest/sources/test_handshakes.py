"""What tools ask before they send, and the tests they send."""

import hashlib
import hmac
import json
from dataclasses import replace
from typing import Any

import pytest

from services.ingest.sources.base import Headers
from services.ingest.sources.receive import receive
from services.ingest.sources.registry import SOURCES
from tests.unit.ingest.sources import signing
from tests.unit.ingest.sources.reading import NOW, SECRET, asked, options, reading, sample_of


class TestHandshakes:
    def test_mailchimp_asks_for_the_address_without_a_secret(self) -> None:
        reply = asked("mailchimp", signing.URL).reply
        assert reply is not None
        assert reply.status == 200

    def test_mandrill_asks_by_head_and_by_an_empty_list_under_its_test_key(self) -> None:
        assert asked("mandrill", signing.URL, "HEAD").reply is not None
        for body, answered in ((b"mandrill_events=%5B%5D", True), (b"mandrill_events=%5B%7B%7D%5D", False)):
            delivery = signing.delivered("mandrill", "test-webhook", body, "application/x-www-form-urlencoded", NOW)
            received = receive(SOURCES["mandrill"], delivery, [SECRET], now=NOW, options=options("mandrill"))
            assert (received.reply is not None) is answered
            assert received.verdict.valid is answered

    def test_mandrill_refuses_a_check_that_is_signed_twice(self) -> None:
        body, form = b"mandrill_events=%5B%5D", "application/x-www-form-urlencoded"
        delivery = signing.delivered("mandrill", "test-webhook", body, form, NOW)
        doubled = replace(delivery, headers=Headers([*delivery.headers, ("x-mandrill-signature", "other")]))
        received = receive(SOURCES["mandrill"], doubled, [SECRET], now=NOW, options=options("mandrill"))
        assert (received.verdict.valid, received.reply) == (False, None)
        assert "twice" in received.verdict.reason

    def test_meta_returns_the_challenge_to_whoever_knows_the_token(self) -> None:
        url = "https://h.example/x?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token="
        good = asked("meta", url + "token-1", verify_token="token-1").reply
        assert good is not None
        assert (good.status, good.body) == (200, b"1158201444")
        for token, known in (("token-2", "token-1"), (SECRET, "token-1"), ("", None)):
            refused = asked("meta", url + token, verify_token=known)
            assert refused.reply is not None
            assert refused.reply.status == 403
            assert not refused.verdict.valid
        assert asked("meta", url + SECRET).verdict.valid

    def test_linkedin_gets_the_proof_of_a_code_and_of_no_signable_text(self) -> None:
        code = "890e4665-4dfe-4ab1-b689-ed553bceeed0"
        reply = asked("linkedin", f"https://h.example/x?challengeCode={code}&applicationId=1").reply
        assert reply is not None
        proof = hmac.new(SECRET.encode(), code.encode(), hashlib.sha256).hexdigest()
        assert json.loads(reply.body) == {"challengeCode": code, "challengeResponse": proof}
        for forged in ("hmacsha256%3D%7B%7D", "", "hmacsha256%3D1"):
            refused = asked("linkedin", f"https://h.example/x?challengeCode={forged}").reply
            assert refused is not None
            assert refused.status == 400

    def test_zoom_gets_the_proof_only_under_its_own_signature_and_for_no_signable_text(self) -> None:
        for token, secret, answered in (
            ("qgg8vlvZRS6UYooatFL8Aw", SECRET, True),
            ("qgg8vlvZRS6UYooatFL8Aw", "other-secret", False),
            ("v0:1795489200:{}", SECRET, False),
        ):
            body = json.dumps({"event": "endpoint.url_validation", "payload": {"plainToken": token}}).encode()
            delivery = signing.delivered("zoom", secret, body, "application/json", NOW)
            received = receive(SOURCES["zoom"], delivery, ["old", SECRET], now=NOW, options=options("zoom"))
            assert (received.reply is not None) is answered
            if received.reply is not None:
                proof = hmac.new(SECRET.encode(), token.encode(), hashlib.sha256).hexdigest()
                assert json.loads(received.reply.body) == {"plainToken": token, "encryptedToken": proof}


class TestTestDeliveries:
    @pytest.mark.parametrize(
        ("adapter", "told"),
        [
            ("google-ads", {**sample_of("google-ads"), "is_test": True}),
            (
                "eventbrite",
                {"config": {"action": "test"}, "api_url": "https://www.eventbriteapi.com/{api-endpoint-to-fetch}/"},
            ),
            ("marketo", {"lead_id": 1, "activity": "Visits Web Page", "is_test": "true"}),
            ("generic", {"email": "a@example.co.jp", "activity": "quote_requested", "is_test": 1}),
        ],
    )
    def test_are_taken_and_published_nowhere(self, adapter: str, told: Any) -> None:
        received = reading(adapter, told)
        assert received.taken == []
        assert received.refused == []
        assert len(received.ignored) == 1
