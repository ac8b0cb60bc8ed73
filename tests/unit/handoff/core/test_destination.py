"""What a destination may be told to be."""

from typing import Any

import pytest
from pydantic import ValidationError

from services.handoff.core.destination import patched, read_spec, split
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
