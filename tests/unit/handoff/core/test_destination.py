"""What a destination may be told to be."""

from typing import Any

import pytest
from pydantic import ValidationError

from services.handoff.core.destination import masked, patched, read_spec, split
from services.handoff.core.signing import new_secret

HOOK = {"kind": "webhook", "name": "crm", "url": "https://crm.example.com/x"}
MAIL = {"kind": "mail", "name": "mail", "to": ["sato@example.co.jp"]}
FOLDER = {"kind": "folder", "name": "files", "folder": "leads"}
SLACK = {"kind": "slack", "name": "chat", "url": "https://hooks.slack.com/services/T/B/x"}


@pytest.mark.parametrize("body", [HOOK, MAIL, FOLDER, SLACK])
def test_the_least_that_is_needed(body: dict[str, Any]) -> None:
    spec = read_spec(body)
    assert (spec.events, spec.rules, spec.queues, spec.state) == (["lead.qualified.v1"], None, None, "active")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({**HOOK, "kind": "pigeon"}, "does not match any of the expected tags"),
        ({"name": "x"}, "discriminator"),
        ({**HOOK, "name": " "}, "expected a name"),
        ({**HOOK, "name": "a\nb"}, "expected a name"),
        ({**HOOK, "events": []}, "at least 1 item"),
        ({**HOOK, "events": ["lead.qualifed.v1"]}, "expected one of lead.qualified.v1"),
        ({**HOOK, "colour": "red"}, "Extra inputs"),
        ({**HOOK, "secret": "whsec_x"}, "expected whsec_"),
        ({**HOOK, "headers": {"Host": "x"}}, "names of headers"),
        ({**HOOK, "headers": {"Webhook-Signature": "x"}}, "names of headers"),
        ({**HOOK, "headers": {"X": "a\r\nB: c"}}, "visible ASCII"),
        ({**HOOK, "headers": {"X Y": "a"}}, "names of headers"),
        ({**MAIL, "to": ["sato"]}, "expected an e-mail"),
        ({**MAIL, "to": ["a@example.com\nBcc: b@example.com"]}, "expected an e-mail"),
        ({**MAIL, "to": ["山田@example.co.jp"]}, "expected an e-mail"),
        ({**MAIL, "to": []}, "expected addresses"),
        ({**MAIL, "language": "fr"}, "'ja' or 'en'"),
        ({**MAIL, "timezone": "Mars/Base"}, "IANA"),
        ({**FOLDER, "folder": "../etc"}, "expected the name of a folder"),
        ({**FOLDER, "folder": "/etc"}, "expected the name of a folder"),
        ({**FOLDER, "folder": ""}, "expected the name of a folder"),
        ({**FOLDER, "encoding": "utf-16"}, "'utf-8' or 'cp932'"),
        ({**FOLDER, "events": ["*"]}, "only leads become rows"),
    ],
)
def test_faults_say_what_was_expected(body: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError) as caught:
        read_spec(body)
    assert expected in str(caught.value)


def test_secrets_are_split_off() -> None:
    shown, hidden = split(
        read_spec({**HOOK, "secret": new_secret(b"x" * 32), "headers": {"Authorization": "Bearer t"}})
    )
    assert hidden == {"headers": {"Authorization": "Bearer t"}}
    assert shown.keys().isdisjoint({"secret", "headers"})
    shown, hidden = split(read_spec(SLACK))
    assert (hidden, "url" in shown) == ({"url": SLACK["url"]}, False)


def test_a_patch_changes_what_it_names_and_null_is_the_default() -> None:
    whole, _ = split(read_spec({**MAIL, "rules": ["hot"], "language": "en"}))
    spec = read_spec(patched(whole, {"rules": None, "digest": True}))
    assert (spec.rules, spec.name, spec.collects) == (None, "mail", True)


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({**MAIL, "to": []}, "to"),
        ({"kind": "mail", "name": "x"}, "to"),
        ({**FOLDER, "events": ["*"]}, "events"),
    ],
)
def test_a_fault_of_two_fields_is_told_at_one_of_them(body: dict[str, Any], place: str) -> None:
    with pytest.raises(ValidationError) as caught:
        read_spec(body)
    assert [error["loc"][-1] for error in caught.value.errors()] == [place]


def test_a_domain_in_japanese_is_written_as_mail_servers_take_it() -> None:
    spec = read_spec({**MAIL, "to": ["sato@例え.jp"]})
    assert spec.model_dump()["to"] == ["sato@xn--r8jz45g.jp"]


KNOWN = {**HOOK, "url": "https://crm.example.com/x?token=t", "headers": {"Authorization": "Bearer t", "X-B": "b"}}
SHOWN = "https://crm.example.com/x?***"


@pytest.mark.parametrize(
    ("patch", "headers"),
    [
        ({"headers": {"X-C": "c"}}, {"Authorization": "Bearer t", "X-B": "b", "X-C": "c"}),
        ({"headers": {"X-B": None}}, {"Authorization": "Bearer t"}),
        ({"headers": {"X-A": None}}, {"Authorization": "Bearer t", "X-B": "b"}),
        ({"headers": {"Authorization": "***", "X-B": "***"}}, {"Authorization": "Bearer t", "X-B": "b"}),
        ({"headers": {"authorization": "new"}}, {"authorization": "new", "X-B": "b"}),
        ({"headers": {"authorization": "***"}}, {"authorization": "Bearer t", "X-B": "b"}),
        ({"headers": {}}, {"Authorization": "Bearer t", "X-B": "b"}),
        ({"headers": None}, None),
    ],
)
def test_headers_are_merged_and_masks_keep_what_is_there(patch: dict[str, Any], headers: Any) -> None:
    changed = patched(KNOWN, patch, SHOWN)
    assert changed.get("headers") == headers
    assert masked(changed) == []


def test_a_url_may_come_back_as_it_was_shown() -> None:
    assert patched(KNOWN, {"url": SHOWN}, SHOWN)["url"] == KNOWN["url"]
    assert patched(SLACK, {"url": "https://hooks.slack.com/***"}, "https://hooks.slack.com/***") == SLACK


@pytest.mark.parametrize(
    ("patch", "place"),
    [
        ({"headers": {"X-New": "***"}}, "/headers/X-New"),
        ({"url": "https://other.example.com/x?***"}, "/url"),
        ({"url": "https://crm.example.com/***"}, "/url"),
    ],
)
def test_a_mask_of_something_unknown_is_no_value(patch: dict[str, Any], place: str) -> None:
    assert [fault.pointer for fault in masked(patched(KNOWN, patch, SHOWN))] == [place]
