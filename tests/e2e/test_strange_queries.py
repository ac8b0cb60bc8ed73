"""Queries that nobody meant: another list's cursor, and texts that no table can hold, at every address that reads."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from shared.web import encode_cursor
from tests.e2e.client import Client, wait_for
from tests.e2e.test_pipeline import person, seminar

SERVICES = ("ingest", "scoring", "handoff")
CURSORS: list[list[Any]] = [[], ["a"], [1], [2**62], [None], ["a", "b"], ["a", 2**40], ["a\0", 1], [1, 2, 3], [{}, []]]
_PARAMETER = re.compile(r"\{([a-z_]+)\}")


@pytest.fixture
def known(client: Client) -> dict[str, str]:
    """What stands for a parameter of a path, so that what is asked for is there."""
    email = person()
    client.post(seminar(email, 1))
    return {"lead_id": wait_for(lambda: client.lead(email))["id"], "name": "b2b-standard", "version": "1"}


def addresses(client: Client, service: str, known: dict[str, str]) -> Iterator[tuple[str, list[str], list[str]]]:
    """Of each that reads: the address, the names of its parameters, and the same with U+0000 in its path."""
    document = client.http.get(client.url(service, "/openapi.json")).json()
    for path, operations in document["paths"].items():
        if "get" not in operations:
            continue
        names = [one["name"] for one in operations["get"].get("parameters", ()) if one["in"] == "query"]
        broken = [filled(path, {**known, name: "%00"}) for name in _PARAMETER.findall(path)]
        yield client.url(service, filled(path, known)), names, [client.url(service, one) for one in broken]


def filled(path: str, given: dict[str, str]) -> str:
    """The path with what stands for its parameters."""
    return _PARAMETER.sub(lambda found: given.get(found[1], "x"), path)


@pytest.mark.parametrize("service", SERVICES)
def test_a_cursor_of_another_list_is_refused_by_every_list(service: str, client: Client, known: dict[str, str]) -> None:
    lists = [address for address, names, _ in addresses(client, service, known) if "after" in names]
    assert lists
    for address in lists:
        answers = [client.http.get(address, params={"after": encode_cursor(values)}) for values in CURSORS]
        assert not [one.text for one in answers if one.status_code >= 500], address
        if client.http.get(address).status_code == 200:
            assert {one.json().get("code", "") for one in answers} >= {"invalid_cursor"}, address


@pytest.mark.parametrize("service", SERVICES)
def test_a_text_that_no_table_holds_is_named(service: str, client: Client, known: dict[str, str]) -> None:
    asked = [
        one
        for address, names, broken in addresses(client, service, known)
        for one in [*(f"{address}?{name}=%E5%B1%B1%E7%94%B0%00" for name in names), *broken]
    ]
    assert asked
    answers = [client.http.get(one) for one in asked]
    assert not [(str(one.url), one.text) for one in answers if one.status_code >= 500]
    if service != "ingest":  # whose pages take what browsers send
        assert {one.status_code for one in answers} == {422}
    log = (client.stack.data.path / "logs" / f"{service}.log").read_text(encoding="utf-8")
    assert "山田" not in log
