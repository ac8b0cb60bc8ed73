"""`kizashi webhook listen` against a running service."""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
import uvicorn

from services.ingest.app import build
from services.ingest.settings import IngestSettings
from shared.clock import system_clock
from shared.keys import create_key
from shared.settings import load
from tests.integration.ingest.webhook_desk import DEADLINE_S, sources_yaml
from tests.unit.ingest.sources.samples import SAMPLES
from tests.unit.ingest.sources.signing import delivered


@pytest.fixture
def service(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Address and admin key of an ingest service; without Kafka, since a refused request needs none."""
    (tmp_path / "sources.yaml").write_bytes(sources_yaml())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    env = {
        "KIZASHI_CONFIG_DIR": str(tmp_path),
        "KIZASHI_DATA_DIR": str(tmp_path),
        "KIZASHI_IDENTITY_SECRET": "identity-secret-for-tests",
        "KIZASHI_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1",
    }
    settings = load(IngestSettings, env)
    key = create_key(settings.key_store_path, "admin", ["admin"], system_clock())
    server = uvicorn.Server(uvicorn.Config(build(settings), host="127.0.0.1", port=port, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    until = time.monotonic() + DEADLINE_S
    while not server.started and time.monotonic() < until:
        thread.join(0.02)
    yield f"http://127.0.0.1:{port}", key
    server.should_exit = True
    thread.join()


def test_shows_the_next_request_with_its_verdict(service: tuple[str, str]) -> None:
    url, key = service
    sample = next(sample for sample in SAMPLES if sample.adapter == "mautic")
    forged = delivered("mautic", "wrong", sample.bytes_of("body"), "application/json", system_clock())
    command = [sys.executable, "-c", "from deploy.cli.webhook import app; app()", "listen", "mautic", "--count", "1"]
    listener = subprocess.Popen(
        [*command, "--url", url, "--key", key, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    until = time.monotonic() + DEADLINE_S
    while listener.poll() is None and time.monotonic() < until:
        httpx2.post(f"{url}/v1/webhooks/mautic", headers=dict(forged.headers), content=forged.body)
        try:
            listener.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
    output, errors = listener.communicate(timeout=DEADLINE_S)
    assert listener.returncode == 0, errors
    shown = json.loads(output)
    assert (shown["valid"], shown["reason"]) == (False, "signature: does not match any of the secrets")
    assert shown["activities"] == []


@pytest.mark.parametrize(
    ("source", "wrong_key", "said"), [("unknown", False, b"no such source"), ("mautic", True, b"key")]
)
def test_says_what_is_wrong(service: tuple[str, str], source: str, wrong_key: bool, said: bytes) -> None:
    url, key = service
    command = [
        sys.executable,
        "-c",
        "from deploy.cli.webhook import app; app()",
        "listen",
        source,
        "--url",
        url,
        "--key",
    ]
    result = subprocess.run([*command, "kz_no" if wrong_key else key], capture_output=True, timeout=60, check=False)
    assert result.returncode == 1
    assert said in result.stderr
