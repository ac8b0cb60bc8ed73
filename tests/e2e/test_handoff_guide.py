"""The commands of the guide for those who take leads over, in both languages, as they stand."""

import json
import os
import subprocess
from typing import Any

import pytest

from deploy.local.paths import ROOT
from tests.e2e.client import Client
from tests.e2e.test_pipeline import make_hot, person
from tests.guides import fenced

SERVICE = "http://127.0.0.1:8003"
STATES = ("recycled", "assigned")
"""What the first and the second command of the guide leave a handoff in."""


@pytest.mark.parametrize("name", ["handoff.md", "handoff.ja.md"])
def test_every_command_does_what_the_guide_says(client: Client, name: str) -> None:
    commands = [body for kind, body in fenced(ROOT / "docs" / name) if kind == "sh"]
    assert len(commands) == len(STATES)
    for command, state in zip(commands, STATES, strict=True):
        handoff = make_hot(client, person())
        answer = run(client, command, handoff["id"])
        assert answer["state"] == state
        said = json.loads(command.partition("-d '")[2].rpartition("'")[0])
        last = answer["history"][-1]
        assert last["reason"].startswith(said["reason"]) or said["reason"] in last["reason"]
        assert answer["owner"] == said.get("owner", handoff["owner"])


def run(client: Client, command: str, handoff: str) -> dict[str, Any]:
    """By a shell, with the two variables the guide leaves to its reader."""
    key = client.http.headers["Authorization"].removeprefix("Bearer ")
    env = {**os.environ, "HANDOFF": handoff, "KEY": key}
    here = command.replace(SERVICE, client.stack.addresses.services["handoff"])
    done = subprocess.run(["sh", "-ec", here], env=env, capture_output=True, timeout=30, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
