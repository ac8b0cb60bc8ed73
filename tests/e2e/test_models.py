"""A model published on the running stack: leads are switched, nobody is handed over by it, and it is undone again."""

from pathlib import Path
from typing import Any

import orjson

from tests.e2e.client import Client, kizashi, wait_for
from tests.e2e.test_pipeline import make_hot, person

MODELS = "/v1/models"


def finished(client: Client, address: str) -> dict[str, Any] | None:
    """The refold of a version, once it is done."""
    refold: dict[str, Any] | None = client.http.get(client.url("scoring", address)).json()["refold"]
    return refold if refold and refold["finished_at"] else None


def test_a_publication_on_the_running_stack_and_its_roll_back(client: Client, tmp_path: Path) -> None:
    hot = person()
    make_hot(client, hot)
    lead = wait_for(lambda: client.lead(hot))
    wait_for(lambda: client.handoffs(lead["id"]))
    before = lead["model"]
    current = f"{MODELS}/{before['name']}/{before['version']}"
    tree = client.http.get(client.url("scoring", current)).json()["model"]
    # The same scores under another number, so that the other tests of this stack are left alone.
    made = client.http.post(client.url("scoring", MODELS), json={**tree, "daily_max": tree.get("daily_max", 20) + 1})
    assert made.status_code == 201, made.text
    address = made.headers["Location"]
    assert client.http.post(client.url("scoring", f"{address}/publish")).status_code == 200
    progress = wait_for(lambda: finished(client, address))
    assert progress["switched"] == progress["leads"]
    switched = client.latest("lead-scores")[lead["id"].encode()]
    assert (switched["cause"], switched["silent"]) == ("model", True)
    assert switched["models"][before["name"]]["version"] == made.json()["version"]
    (tmp_path / "draft.json").write_bytes(orjson.dumps({**tree, "watch": [1_000]}))
    preview = kizashi(client.stack, "preview", "--model", str(tmp_path / "draft.json"), "--threshold", "10", "--json")
    assert preview.returncode == 0, preview.stderr
    found = orjson.loads(preview.stdout)
    assert found["leads"] >= 1
    assert (found["qualify"]["count"], found["drop_out"]["count"]) == (0, 0)
    assert client.http.post(client.url("scoring", f"{current}/publish")).status_code == 200
    wait_for(lambda: client.lead(hot) and client.lead(hot)["model"] == before)  # type: ignore[index]
    assert [one["cycle"] for one in client.handoffs(lead["id"])] == [1]
