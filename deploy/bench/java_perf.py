"""Kafka's own producer benchmark, `org.apache.kafka.tools.ProducerPerformance`: what a producer can reach at best."""

import os
import re
import subprocess

from deploy.local.jars import fetch, read_lock
from deploy.local.kafka import java
from deploy.local.paths import KAFKA_LOCK, LIBS, ROOT
from shared.errors import KizashiError

LOCK = ROOT / "deploy" / "bench" / "kafka-tools.lock"
TOOLS = LIBS.parent / "kafka-tools"
RECORDS = 400_000
_RATE = re.compile(rb"(\d+) records sent, ([\d.]+) records/sec")


def records_per_second(bootstrap_servers: str, topic: str, record_bytes: int) -> float:
    """Send records of this size, acknowledged by all replicas, idempotent, as ingest does.

    Raises KizashiError when the tool cannot be had or fails.
    """
    fetch(read_lock(LOCK), TOOLS, lambda *_: None)
    jars = [*(LIBS / jar.file_name for jar in read_lock(KAFKA_LOCK)), *TOOLS.glob("*.jar")]
    command = [
        java(),
        "-Xmx256m",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
        "-cp",
        os.pathsep.join(map(str, jars)),
        "org.apache.kafka.tools.ProducerPerformance",
        *("--topic", topic, "--num-records", str(RECORDS), "--record-size", str(record_bytes), "--throughput", "-1"),
        *("--bootstrap-server", bootstrap_servers, "--command-property", "acks=all", "linger.ms=5"),
    ]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    found = _RATE.findall(done.stdout)
    if done.returncode or not found:
        raise KizashiError(
            f"ProducerPerformance failed: {(done.stderr or done.stdout).decode(errors='replace')[-500:]}"
        )
    # The last line is the sum of all; those before it are one per five seconds.
    return float(found[-1][1])
