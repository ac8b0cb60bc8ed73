"""Keys change while the services run: nobody is let in or shut out for a moment too long."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2

from deploy.local.stack import Stack
from tests.e2e.client import Client, kizashi

PATHS = {
    "ingest": ("POST", "/v1/activities"),
    "scoring": ("GET", "/v1/leads?limit=1"),
    "handoff": ("GET", "/v1/handoffs?limit=1"),
}
SCOPES = ("activities:write", "leads:read", "handoffs:read")


def made(stack: Stack, *arguments: str) -> str:
    """The key that a command made."""
    done = kizashi(stack, "keys", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["key"])


def statuses(client: Client, key: str) -> dict[str, int]:
    """What each service answers to a key."""
    headers = {"Authorization": f"Bearer {key}"}
    return {
        service: httpx2.request(
            method, client.url(service, path), headers=headers, json=[] if method == "POST" else None, timeout=30
        ).status_code
        for service, (method, path) in PATHS.items()
    }


@contextmanager
def using(client: Client, key: str) -> Iterator[list[int]]:
    """Ask all the time meanwhile; gives every status seen."""
    seen: list[int] = []
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            seen.extend(statuses(client, key).values())

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def test_a_key_is_replaced_without_a_gap(stack: Stack, client: Client) -> None:
    good, gone = {"ingest": 202, "scoring": 200, "handoff": 200}, dict.fromkeys(PATHS, 401)
    old = made(stack, "create", "site", *SCOPES)
    assert statuses(client, old) == good
    with using(client, old) as seen_of_old:
        new = made(stack, "rotate", "site", "--in", "1h")
        assert statuses(client, new) == good
        with using(client, new) as seen_of_new:
            assert statuses(client, old) == good
    ended = kizashi(stack, "keys", "expire", old.split("_")[1])
    assert ended.returncode == 0, ended.stderr
    assert (statuses(client, old), statuses(client, new)) == (gone, good)
    assert kizashi(stack, "keys", "revoke", "site").returncode == 0
    assert statuses(client, new) == gone
    assert set(seen_of_old) | set(seen_of_new) == {200, 202}
