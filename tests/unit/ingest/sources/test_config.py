"""The `webhooks:` part of sources.yaml."""

from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest
from structlog.testing import capture_logs

from services.ingest.settings import IngestSettings
from services.ingest.sources.config import is_miswritten, read_webhooks
from services.ingest.webhooks import Webhooks
from shared.clock import system_clock
from shared.documents import read_document

ENV = {"HUBSPOT_SECRET": "one", "EMPTY": ""}


def read(text: str) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    sources, faults = read_webhooks(read_document(text).tree, ENV)
    return dict(sources), [(fault.where, fault.expected) for fault in faults]


def test_reads_a_source_with_its_secrets_from_the_environment() -> None:
    sources, faults = read(
        """
        hubspot-main: {adapter: hubspot, secrets: ["${HUBSPOT_SECRET}", "old"], timezone: Asia/Tokyo, tolerance: 10m,
                       public_url: "https://leads.example.co.jp/v1/webhooks/hubspot-main"}
        """
    )
    assert faults == []
    source = sources["hubspot-main"]
    assert (source.adapter.name, source.secrets, source.disabled) == ("hubspot", ("one", "old"), None)
    assert source.public_url == "https://leads.example.co.jp/v1/webhooks/hubspot-main"
    options = source.options
    assert (options.source, options.system, options.zone) == ("hubspot-main", "hubspot", ZoneInfo("Asia/Tokyo"))
    assert options.tolerance_s == 600.0


@pytest.mark.parametrize("name", ["MISSING", "EMPTY"])
def test_disables_a_source_whose_secret_is_not_set(name: str) -> None:
    sources, faults = read(f'a: {{adapter: mautic, secrets: ["${{{name}}}"]}}\nb: {{adapter: mautic, secrets: [x]}}')
    assert faults == []
    assert (sources["a"].disabled, sources["a"].secrets) == (f"{name} is not set", ())
    assert sources["b"].disabled is None


def test_reads_the_recipe_and_mapping_of_a_generic_source() -> None:
    sources, faults = read(
        """
        shop:
          adapter: generic
          secrets: [x]
          tolerance: none
          types: {purchase: order_placed, ping: ignore}
          signature: {header: X-Sig, signed: "{timestamp}.{body}", timestamp: X-Ts, form: "sha256={signature}"}
          mapping: {items: events, type: kind, id: [no], time: at, fields: {crm: lead.external_ids.crm}}
        """
    )
    assert faults == []
    options = sources["shop"].options
    assert options.tolerance_s is None
    assert options.signature.form == "sha256={signature}"
    assert options.mapping.id == ("no",)
    assert options.types == {"purchase": "order_placed", "ping": "ignore"}


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("a: {adapter: hubspo, secrets: [x]}", "webhooks.a.adapter"),
        ("a: {adapter: hubspot}", "webhooks.a.secrets"),
        ("a: {adapter: hubspot, secrets: []}", "webhooks.a.secrets"),
        ('a: {adapter: hubspot, secrets: [""]}', "webhooks.a.secrets[0]"),
        ("a: {adapter: hubspot, secrets: [x], timezone: Mars}", "webhooks.a.timezone"),
        ("a: {adapter: hubspot, secrets: [x], public_url: leads.example.co.jp}", "webhooks.a.public_url"),
        ("a: {adapter: hubspot, secrets: [x], secret: y}", "webhooks.a.secret"),
        ("a: {adapter: hubspot, secrets: [x], tolerance: 5}", "webhooks.a.tolerance"),
        ("a: {adapter: hubspot, secrets: [x], types: {b: Not-A-Type}}", "webhooks.a.types.b"),
        ("a: {adapter: generic, secrets: [x], mapping: {fields: {}}}", "webhooks.a.mapping.fields"),
        ("a: {adapter: generic, secrets: [x], mapping: {fields: {m: lead.mail}}}", "webhooks.a.mapping.fields.m"),
        (
            "a: {adapter: generic, secrets: [x], mapping: {time_format: x, fields: {m: lead.email}}}",
            "webhooks.a.mapping.time_format",
        ),
        (
            'a: {adapter: generic, secrets: [x], signature: {header: X, signed: "{nothing}"}}',
            "webhooks.a.signature.signed",
        ),
        ("a: {adapter: generic, secrets: [x], signature: {header: X, form: x}}", "webhooks.a.signature.form"),
        ("a b: {adapter: hubspot, secrets: [x]}", "webhooks.a b"),
        ("[]", "webhooks"),
    ],
)
def test_names_the_place_of_every_fault(text: str, where: str) -> None:
    _, faults = read(text)
    assert where in [path for path, _ in faults]
    assert all(expected for _, expected in faults)


def test_an_absent_part_is_no_sources() -> None:
    assert read("") == ({}, [])


@pytest.mark.parametrize(
    ("secret", "miswritten"),
    [("${UNSET", True), ("$HUB", True), ("${", True), ("$ecret", False), ("a$HUB", False), ("x", False)],
)
def test_knows_a_name_that_was_written_wrongly(secret: str, miswritten: bool) -> None:
    assert is_miswritten(secret) == miswritten


def test_the_start_warns_of_it_and_shows_no_secret() -> None:
    sources, _ = read('a: {adapter: mautic, secrets: ["$HUB"]}\nb: {adapter: mautic, secrets: [x]}')
    unused = cast("Any", None)
    with capture_logs() as told:
        Webhooks(IngestSettings(identity_secret="x"), sources, system_clock, unused, unused).warn()
    assert [(entry["event"], entry["source"]) for entry in told] == [("secret_is_no_variable", "a")]
    assert "$HUB" not in str(told)
