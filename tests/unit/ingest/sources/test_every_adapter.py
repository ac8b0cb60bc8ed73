"""What every adapter must do, tool by tool."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.ingest.sources.base import Delivery, Headers
from services.ingest.sources.receive import Received, receive
from services.ingest.sources.registry import SOURCES
from tests.unit.ingest.sources.samples import SAMPLES, Sample, with_part
from tests.unit.ingest.sources.signing import SIGNERS, URL, delivered

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
TIMED = {"standard-webhooks", "hubspot", "mailchimp", "customerio", "klaviyo", "calendly", "zoom"}
IN_BODY = {"google-ads"}
UNSIGNED = {"marketo", "account-engagement", "salesforce", "postmark", "brevo", "activecampaign", "rudderstack"} | {
    "eventbrite",
    "generic",
}

every = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.adapter)


def given(sample: Sample, name: str = "body", secret: str | None = None, now: datetime = NOW) -> Delivery:
    secret = secret or sample.secret
    return delivered(sample.adapter, secret, sample.bytes_of(name, secret), sample.content_type_of(name), now)


def received(sample: Sample, delivery: Delivery, *secrets: str, now: datetime = NOW) -> Received:
    return receive(SOURCES[sample.adapter], delivery, secrets or (sample.secret,), now=now, options=sample.options)


def holds(found: Any, expected: Any) -> bool:
    """Whether `found` has everything that `expected` names; None stands for an absent field."""
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(holds(found.get(key), value) for key, value in expected.items())
    return bool(found == expected)


class TestEveryAdapter:
    @every
    def test_reads_its_sample(self, sample: Sample) -> None:
        result = received(sample, given(sample))
        assert result.verdict.valid
        assert [item.reason for item in result.refused] == []
        assert len(result.taken) == len(sample.told["activities"])
        for taken, expected in zip(result.taken, sample.told["activities"], strict=True):
            assert holds(taken.posted, expected), (taken.posted, expected)

    @every
    def test_names_its_source(self, sample: Sample) -> None:
        options = replace(sample.options, source="main")
        result = receive(SOURCES[sample.adapter], given(sample), [sample.secret], now=NOW, options=options)
        assert {taken.activity.source for taken in result.taken} == {"main"}

    @every
    def test_refuses_another_secret(self, sample: Sample) -> None:
        result = received(sample, given(sample, secret=sample.other_secret))
        assert not result.verdict.valid
        assert result.taken == []

    @every
    def test_refuses_a_missing_secret(self, sample: Sample) -> None:
        signed = given(sample)
        bare = replace(
            signed, headers=Headers([("Content-Type", sample.content_type)]), url="https://leads.example.co.jp/"
        )
        if sample.adapter in IN_BODY:
            bare = replace(bare, body=bare.body.replace(sample.secret.encode(), b""))
        result = received(sample, bare)
        assert not result.verdict.valid
        assert result.verdict.reason.startswith(("missing header", "secret"))

    @every
    def test_takes_a_secret_in_the_path_where_its_tool_does_not_sign(self, sample: Sample) -> None:
        bare = replace(
            given(sample), headers=Headers([("Content-Type", sample.content_type)]), arrived=f"/{sample.secret}"
        )
        if sample.adapter not in IN_BODY:
            assert received(sample, bare).verdict.valid is SOURCES[sample.adapter].secret_in_path

    @every
    def test_refuses_everything_where_no_secret_is_set(self, sample: Sample) -> None:
        delivery = given(sample)
        for secrets in ([], [""]):
            result = receive(SOURCES[sample.adapter], delivery, secrets, now=NOW, options=sample.options)
            assert not result.verdict.valid

    @every
    def test_takes_the_old_and_the_new_secret_while_rotating(self, sample: Sample) -> None:
        for secret in (sample.secret, sample.other_secret):
            delivery = given(sample, secret=secret)
            assert received(sample, delivery, sample.other_secret, sample.secret).verdict.valid

    @every
    def test_takes_header_names_in_any_case(self, sample: Sample) -> None:
        delivery = given(sample)
        for change in (str.upper, str.lower):
            headers = Headers([(change(name), value) for name, value in delivery.headers])
            assert received(sample, replace(delivery, headers=headers)).verdict.valid

    @pytest.mark.parametrize("adapter", sorted(SOURCES.keys() - UNSIGNED - IN_BODY))
    def test_refuses_a_changed_body(self, adapter: str) -> None:
        sample = next(sample for sample in SAMPLES if sample.adapter == adapter)
        delivery = given(sample)
        for changed in (delivery.body[:-3], delivery.body + b"&x=1", delivery.body.replace(b"e", b"E", 1)):
            assert not received(sample, replace(delivery, body=changed)).verdict.valid

    @pytest.mark.parametrize("adapter", sorted(SOURCES.keys() - UNSIGNED - IN_BODY))
    def test_refuses_a_signature_given_twice_with_different_values(self, adapter: str) -> None:
        sample = next(sample for sample in SAMPLES if sample.adapter == adapter)
        delivery = given(sample)
        signed = SIGNERS[adapter](sample.secret, delivery.body, NOW)
        # Of a list of signatures any may match; the signed name and time must be one.
        doubled = [name for name in signed if name != "webhook-signature"]
        for name in doubled:
            headers = Headers([*delivery.headers, (name, "something-else")])
            assert not received(sample, replace(delivery, headers=headers)).verdict.valid

    @pytest.mark.parametrize("adapter", sorted(TIMED))
    def test_refuses_what_is_stale_or_ahead(self, adapter: str) -> None:
        sample = next(sample for sample in SAMPLES if sample.adapter == adapter)
        limit = 180 if adapter == "calendly" else 300
        for seconds, valid in ((-limit - 1, False), (-limit, True), (limit, True), (limit + 1, False)):
            result = received(sample, given(sample, now=NOW + timedelta(seconds=seconds)))
            assert result.verdict.valid is valid, seconds
            assert valid or result.verdict.reason.startswith("timestamp")

    @pytest.mark.parametrize("adapter", sorted(SOURCES.keys() - TIMED))
    def test_takes_any_age_where_no_time_is_signed(self, adapter: str) -> None:
        sample = next(sample for sample in SAMPLES if sample.adapter == adapter)
        assert received(sample, given(sample, now=NOW - timedelta(days=2))).verdict.valid

    @every
    def test_reports_an_empty_body_without_failing(self, sample: Sample) -> None:
        delivery = replace(delivered(sample.adapter, sample.secret, b"", sample.content_type, NOW), url=URL)
        result = received(sample, delivery)
        assert result.taken == []
        assert result.refused or not result.verdict.valid

    @pytest.mark.parametrize("sample", with_part("unknown"), ids=lambda sample: sample.adapter)
    def test_keeps_an_unknown_kind_with_its_raw_item(self, sample: Sample) -> None:
        result = received(sample, given(sample, "unknown"))
        assert [taken.activity.type for taken in result.taken] == ["unknown"]
        assert result.taken[0].posted["properties"]["raw"]

    @pytest.mark.parametrize("sample", with_part("mixed"), ids=lambda sample: sample.adapter)
    def test_takes_the_good_items_and_reports_the_bad_ones(self, sample: Sample) -> None:
        result = received(sample, given(sample, "mixed"))
        assert len(result.taken) == sample.told["good"]
        assert len(result.refused) >= 1
        assert all(item.reason for item in result.refused)

    @every
    def test_gives_the_same_ids_to_a_delivery_that_comes_again(self, sample: Sample) -> None:
        first = received(sample, given(sample))
        name = "retry" if "retry" in sample.told else "body"
        later = NOW + timedelta(hours=1)
        again = received(sample, given(sample, name, now=later), now=later)
        ids = [taken.activity.id for taken in first.taken]
        assert ids == [taken.activity.id for taken in again.taken]
        assert len(set(ids)) == len(ids)
        assert [taken.activity.fingerprint() for taken in first.taken] == [
            taken.activity.fingerprint() for taken in again.taken
        ]

    @every
    def test_keeps_no_secret(self, sample: Sample) -> None:
        result = received(sample, given(sample))
        assert sample.secret not in str([taken.posted for taken in result.taken])
        assert sample.secret.encode() not in SOURCES[sample.adapter].redact(given(sample).body)
