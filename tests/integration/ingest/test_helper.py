"""Long bodies, read by a process beside the service: also when it is killed, stopped, or left alone."""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.conftest import KafkaServer
from tests.integration.ingest.process import IngestProcess, records_of, running_ingest, wait_until

MANY = 400


@pytest.fixture
def served(topics: KafkaServer, tmp_path: Path) -> Iterator[IngestProcess]:
    with running_ingest(tmp_path, topics.bootstrap_servers) as running:
        yield running


def batch(source: str, start: int = 0) -> list[dict[str, Any]]:
    """Well above the length from which on a helper reads."""
    return [
        {
            "id": f"{source}-{number}",
            "source": source,
            "type": "page_viewed",
            "lead": {"email": f"lead{number}@example.co.jp"},
            "properties": {"url": f"https://www.example.co.jp/料金/{number}"},
        }
        for number in range(start, start + MANY)
    ]


def helpers(ingest: IngestProcess) -> list[psutil.Process]:
    return psutil.Process(ingest.process.pid).children()


def started(ingest: IngestProcess, source: str) -> psutil.Process:
    """The helper, once it is ready for work; one is started by the first long body and by the next after a death."""

    def ready() -> bool:
        found = helpers(ingest)
        if not found or not settled(found[0]):
            assert ingest.post(batch(source)).status_code == 202
            return False
        return True

    wait_until(ready, 30)
    return helpers(ingest)[0]


def settled(helper: psutil.Process) -> bool:
    """Whether it has set aside Ctrl-C, which is its first work."""
    try:
        status = Path(f"/proc/{helper.pid}/status").read_text(encoding="ascii")
    except OSError:
        return False
    ignored = next((line.split()[1] for line in status.splitlines() if line.startswith("SigIgn:")), "0")
    return bool(int(ignored, 16) >> (signal.SIGINT - 1) & 1)


def worked(helper: psutil.Process, ingest: IngestProcess, source: str) -> bool:
    """Whether its processor time rose by a few bodies."""
    before = helper.cpu_times().user
    for _ in range(8):
        assert ingest.post(batch(source)).status_code == 202
    return bool(helper.cpu_times().user > before)


def test_a_helper_is_started_with_the_first_long_body_and_ends_with_the_service(
    served: IngestProcess, source: str
) -> None:
    assert served.post(batch(source)[:3]).status_code == 202
    assert helpers(served) == []
    helper = started(served, source)
    code, seconds = served.end()
    assert code == 0
    assert seconds < 5
    wait_until(lambda: not helper.is_running(), 5)


def test_a_helper_outlives_no_killed_service(served: IngestProcess, source: str) -> None:
    helper = started(served, source)
    served.process.kill()
    wait_until(lambda: not helper.is_running() or helper.status() == psutil.STATUS_ZOMBIE, 5)


def test_no_activity_is_lost_or_doubled_when_helpers_are_killed_at_work(
    served: IngestProcess, topics: KafkaServer, source: str
) -> None:
    killed = {started(served, source).pid}
    sent = [batch(source, MANY * (1 + number)) for number in range(24)]
    with ThreadPoolExecutor(4) as senders:
        answers = senders.map(served.post, sent)
        for answer in answers:
            assert answer.status_code == 202, answer.text
            for helper in helpers(served):
                os.kill(helper.pid, signal.SIGKILL)
                killed.add(helper.pid)
    ids = Counter(dict(record.headers)["ce_id"].decode() for record in records_of(topics.bootstrap_servers, source))
    assert {id_ for body in sent for id_ in (one["id"] for one in body)} <= ids.keys()
    assert {ids[one["id"]] for body in sent for one in body} == {1}
    assert started(served, source).pid not in killed


def test_ctrl_c_leaves_a_helper_at_its_work(ingest: IngestProcess, source: str) -> None:
    helper = started(ingest, source)
    helper.send_signal(signal.SIGINT)
    assert worked(helper, ingest, source)
    assert helpers(ingest) == [helper]


def test_a_refusal_is_the_same_from_either_side(ingest: IngestProcess, source: str) -> None:
    faulty = batch(source)
    faulty[7] |= {"occured_at": "2026-11-20T10:15:00+09:00"}
    faulty[9]["lead"] = {"email": "nobody"}
    here = ingest.post([faulty[7], faulty[9]])
    started(ingest, source)
    there = ingest.post(faulty)
    assert there.status_code == here.status_code == 422
    assert [fault["detail"] for fault in there.json()["errors"]] == [fault["detail"] for fault in here.json()["errors"]]
    assert [fault["pointer"].split("/")[1] for fault in there.json()["errors"]] == ["7", "9"]
