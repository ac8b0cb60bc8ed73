"""The demo's activities, scored by the running stack, by `kizashi score` and by `kizashi replay`: the same numbers."""

import asyncio
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
from typer.testing import CliRunner

from deploy.chaos.people import own
from deploy.cli.score import app
from deploy.demo.expectation import MODEL
from deploy.demo.feed import Line, feed
from deploy.demo.sample import generate
from tests.e2e.client import Client, kizashi, wait_for

COMPARED = ("score", "engagement", "fit", "grade", "level", "cell", "stage", "coverage")
WITHIN_S = 120.0


def test_the_stack_and_the_offline_engine_agree_on_the_demo(client: Client, tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(1_000_000)
    print("seed", seed)
    lines = [orjson.dumps(own(activity, seed)) for activity in generate()]
    offline = scored_offline(tmp_path, lines)
    assert len(offline) >= 2000
    key = (client.stack.data.path / "secrets" / "cli_key").read_text(encoding="utf-8").strip()
    sent = [Line(number, line) for number, line in enumerate(lines, 1)]
    asyncio.run(feed(client.stack.addresses.services["ingest"], key, sent))

    def differences() -> tuple[Counter[bytes], Counter[bytes]]:
        live = scored_live(client, f"k{seed}")
        return offline - live, live - offline

    wait_for(lambda: not any(differences()), WITHIN_S, lambda: [side.most_common(3) for side in differences()])
    replayed = kizashi(client.stack, "replay", "--json")
    assert (replayed.returncode, json.loads(replayed.stdout)["differences"]) == (0, [])
    old = kizashi(client.stack, "retention", "--days", "31", "--json")
    assert (old.returncode, json.loads(old.stdout)["activities"]) == (0, 0)


def scored_offline(folder: Path, lines: list[bytes]) -> Counter[bytes]:
    """Each line of `kizashi score --json`, counted: leads behind one shared mailbox go by one name."""
    file = folder / "activities.ndjson"
    file.write_bytes(b"\n".join(lines))
    result = CliRunner().invoke(app, ["--model", str(MODEL), "--activities", str(file), "--json"])
    assert result.exit_code == 0, result.stderr
    return Counter(comparable(lead["lead"], lead) for lead in map(orjson.loads, result.stdout.splitlines()))


def scored_live(client: Client, mark: str) -> Counter[bytes]:
    """The last record of each lead on `lead-scores`, those of this mark alone."""
    latest = client.latest("lead-scores").values()
    return Counter(
        comparable(name_of(value["identifiers"]), score)
        for value in latest
        if mark in json.dumps(value)
        for score in value["models"].values()
    )


def name_of(known: dict[str, Any]) -> str:
    """The strongest identifier, as `kizashi score` prints it."""
    external = [f"{system}:{value}" for system, value in sorted(known["external_ids"].items())]
    ranked = [known["email"], *external, known["phone"], *known["anonymous_ids"]]
    return next(str(value) for value in ranked if value)


def comparable(name: str, score: dict[str, Any]) -> bytes:
    """Every number and reason of a score as one text."""
    return orjson.dumps({"lead": name} | {field: score[field] for field in (*COMPARED, "reasons")})
