"""Where calls may go, by the text of the URL and by what its name is resolved to."""

import ast

import pytest

from shared.errors import ConfigError
from shared.outgoing.rules import AddressRefused, Rules
from tests.unit.shared.outgoing.hostile import RESOLVED, WRITTEN, urls, written

PUBLIC = ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"]
RULES = Rules()


def addresses(url: str, rules: Rules = RULES) -> list[str]:
    """What a call would connect to; the names of the table lead where it says, all others to a public address."""
    target = rules.target(url)
    found = [target.host] if target.literal else RESOLVED.get(target.host, PUBLIC)
    return rules.check(target, found)


@pytest.mark.parametrize("url", urls(), ids=lambda url: ascii(url)[:60])
def test_hostile_urls_are_refused(url: str) -> None:
    with pytest.raises(AddressRefused) as refused:
        addresses(url)
    assert "secret" not in str(refused.value)


def test_the_hostile_urls_are_written_out() -> None:
    text = WRITTEN.read_text(encoding="ascii")
    assert text == written(urls()), f"write hostile.written(hostile.urls()) to {WRITTEN.name}"
    assert len({ast.literal_eval(line) for line in text.splitlines()}) >= 200


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/",
        "https://example.com",
        "https://EXAMPLE.com:443/a/b?c=d&e=%E3%81%82",
        "https://hooks.example.co.jp:8443/in?token=a.b~c",
        "https://xn--wgv71a119e.jp/",
        "https://8.8.8.8/",
        "https://[2606:4700:4700::1111]/",
        "https://[64:ff9b::808:808]/",
        "https://[::ffff:8.8.8.8]/",
        "https://a_b.example.com/",
        "https://example.com/?url=http://127.0.0.1/",
        "https://127-0-0-1.example.com/",
    ],
)
def test_public_addresses_are_called(url: str) -> None:
    assert addresses(url)


def test_one_private_address_condemns_the_name() -> None:
    target = RULES.target("https://example.com/")
    assert RULES.check(target, PUBLIC) == PUBLIC
    for bad in ("10.0.0.1", "::1", "fe80::1%eth0", ""):
        with pytest.raises(AddressRefused):
            RULES.check(target, [*PUBLIC, bad])


def test_listed_addresses_are_exceptions_for_their_port_alone() -> None:
    rules = Rules.of(" 127.0.0.1:8099, CRM.internal:80,[::1]:8099 ")
    assert addresses("http://127.0.0.1:8099/x", rules) == ["127.0.0.1"]
    assert rules.check(rules.target("http://crm.internal/in"), ["10.0.0.7"]) == ["10.0.0.7"]
    assert addresses("http://[::1]:8099/", rules) == ["::1"]
    for url in ("http://127.0.0.1:8098/", "https://127.0.0.1/", "https://crm.internal/", "http://user@127.0.0.1:8099/"):
        with pytest.raises(AddressRefused):
            addresses(url, rules)


@pytest.mark.parametrize("listed", ["127.0.0.1", "http://127.0.0.1:80", "a:0", "a:65536", "a b:1", "::1:80", "*:80"])
def test_a_faulty_list_stops_the_start(listed: str) -> None:
    with pytest.raises(ConfigError):
        Rules.of(listed)


def test_an_empty_list_allows_nothing() -> None:
    assert Rules.of("") == Rules.of(" , ") == RULES
