"""A stack that is made to suffer: its supervisor is a process too, and every connection to a server passes a gate.

`python -m deploy.chaos.stack` is that supervisor.
"""

import argparse
import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx2
import psutil

from deploy.chaos.fading_model import campaign_config
from deploy.chaos.gates import Gates
from deploy.chaos.plan import LINKS, SECOND, SERVICES, SUPERVISOR
from deploy.chaos.receiver import SECRET, Receiver
from deploy.chaos.service import command
from deploy.local import state
from deploy.local.end import end_stack
from deploy.local.paths import ROOT, DataFolder
from deploy.local.ports import HOST, PortBlock, free_blocks
from deploy.local.report import Lines, Report
from deploy.local.run import detach, run_until_ended
from deploy.local.stack import StackOptions
from deploy.local.supervisor import tail_of
from shared.errors import KizashiError

SETUP = "chaos.json"
ANSWER_S = 60.0
LAST_LINES = 20


@dataclass(frozen=True, slots=True)
class Setup:
    """What the supervisor needs to know, in a file of the data folder. `gates`: link to port; `inner`: service to the
    port of the Kafka listener behind its gate; `second`: process to port, of second processes; `receiver`: the port
    that webhooks are delivered to; `plant`: a bug put in on purpose.
    """

    base: int
    second: dict[str, int]
    gates: dict[str, int]
    inner: dict[str, int]
    receiver: int = 0
    plant: str = ""

    @property
    def kafka_settings(self) -> dict[str, str]:
        """Listeners of their own for the services, so that Kafka itself sends its clients to their gates."""
        block = PortBlock(self.base)
        own = {"PLAINTEXT": block.kafka, "CONTROLLER": block.controller}
        inner = {name.upper(): port for name, port in self.inner.items()}
        outer = {name.upper(): self.gates[f"{name}-kafka"] for name in self.inner}
        return {
            "listeners": _listeners({**own, **inner}),
            "advertised.listeners": _listeners({"PLAINTEXT": block.kafka, **outer}),
            "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in (*own, *inner)),
            "inter.broker.listener.name": "PLAINTEXT",
        }


class SufferingStack:
    """The stack from outside: pids, kills, freezes, clocks, full disks."""

    def __init__(self, folder: Path, plant: str, seed: int, *, fading: bool = False) -> None:
        self.data = DataFolder.at(folder)
        self.data.create()
        block, behind, before = free_blocks(3)
        self._options = StackOptions(
            data_dir=folder, config_dir=campaign_config(folder) if fading else ROOT / "config", port_base=block.base
        )
        gates = dict(zip(LINKS, before.all, strict=False))
        ports = iter(behind.all)
        inner, second = dict(zip(SERVICES, ports, strict=False)), dict(zip(SECOND, ports, strict=False))
        self.receiver = Receiver(next(ports), seed)
        self._setup = Setup(block.base, second, gates, inner, self.receiver.port, plant)
        (folder / SETUP).write_text(json.dumps(asdict(self._setup)), encoding="ascii")
        upstreams = {
            link: (port, inner[link.partition("-")[0]] if link.endswith("kafka") else block.postgres)
            for link, port in gates.items()
        }
        self.gates = Gates(upstreams, seed)

    @property
    def state(self) -> state.StackState:
        """What the supervisor last wrote."""
        found = state.read(self.data.state)
        assert found is not None
        return found

    def start(self, report: Report) -> None:
        """Start, or start again after the supervisor was killed."""
        detach(self._options, report, module="deploy.chaos.stack")

    def deliver(self) -> None:
        """Make the destination of the campaign: the receiver. Raises KizashiError where it is refused."""
        spec = {"kind": "webhook", "name": "receiver", "url": self.receiver.url, "secret": SECRET}
        key = self.data.cli_key.read_text(encoding="ascii").strip()
        url = f"{self.state.addresses.services['handoff']}/v1/destinations"
        headers = {"Authorization": f"Bearer {key}"}
        made = httpx2.post(url, json=spec, headers=headers, trust_env=False, timeout=ANSWER_S)
        if made.status_code != 201:
            raise KizashiError(f"the receiver of the campaign was refused: {made.text}")

    def pids(self, target: str) -> list[int]:
        """The process and its children, of a server or a service; the supervisor alone for itself. May be empty."""
        now = self.state
        found = state.find(now.supervisor if target == SUPERVISOR else now.processes.get(target, state.ProcessState()))
        if found is None:
            return []
        with suppress(psutil.Error):
            return [
                found.pid,
                *([] if target == SUPERVISOR else (child.pid for child in found.children(recursive=True))),
            ]
        return []

    def complaint(self, name: str) -> str:
        """What a process says of itself: how it answers when asked whether it is ready, and the end of its log."""
        port = self._setup.second.get(name)
        url = f"http://{HOST}:{port}" if port else self.state.addresses.services.get(name, "")
        try:
            said = httpx2.get(f"{url}/readyz", trust_env=False, timeout=ANSWER_S).text
        except httpx2.HTTPError as error:
            said = type(error).__name__
        return f"{said}\n{tail_of(self.data.log(name), LAST_LINES)}"

    def kill(self, target: str) -> bool:
        """End a process without notice; its children are left as they are. Returns whether there was one."""
        return bool(_signal(self.pids(target)[:1], signal.SIGKILL))

    def freeze(self, target: str) -> list[int]:
        """Stop a process and its children in their tracks; returns their pids."""
        return _signal(self.pids(target), signal.SIGSTOP)

    @staticmethod
    def thaw(pids: list[int]) -> None:
        """Let them go on."""
        _signal(pids, signal.SIGCONT)

    def set_clock(self, service: str, seconds: float) -> None:
        """Set a service's clock wrong by so much; 0 is right."""
        (self.data.path / f"{service}.clock").write_text(f"{seconds}", encoding="ascii")

    def limit_files(self, service: str, size: int) -> None:
        """No file of this process may grow beyond `size` bytes: what a full disk does; -1 takes it back."""
        for pid in self.pids(service)[:1]:
            with suppress(psutil.Error):
                psutil.Process(pid).rlimit(psutil.RLIMIT_FSIZE, (size, -1))

    def stop(self) -> None:
        """End everything."""
        if state.read(self.data.state) is not None:
            for target in (*self.state.processes, SUPERVISOR):
                self.thaw(self.pids(target))
            end_stack(self.data)
        self.gates.close()
        self.receiver.close()


@contextmanager
def suffering_stack(
    folder: Path, report: Report, *, seed: int, plant: str = "", fading: bool = False
) -> Iterator[SufferingStack]:
    """A started stack, ended afterwards."""
    stack = SufferingStack(folder, plant, seed, fading=fading)
    try:
        stack.start(report)
        stack.deliver()
        yield stack
    finally:
        stack.stop()


def main(arguments: list[str]) -> int:
    """The supervisor. Returns the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--config-dir", type=Path)
    parser.add_argument("--port-base", type=int)
    given = parser.parse_args(arguments)
    setup = Setup(**json.loads((given.data_dir / SETUP).read_text(encoding="ascii")))

    def of(name: str) -> tuple[str, ...]:
        gates: Mapping[str, int] = setup.gates
        service = SECOND.get(name, name)
        clock_file = given.data_dir / f"{name}.clock"
        kafka, postgres = gates[f"{service}-kafka"], gates.get(f"{service}-postgres")
        return command(service, name, kafka, postgres, clock_file, setup.plant)

    options = StackOptions(
        data_dir=given.data_dir,
        config_dir=given.config_dir,
        port_base=given.port_base,
        # Soon enough for the spool to be needed in most outages, and for a receiver that hangs to be tried again.
        env={
            **os.environ,
            "KIZASHI_INGEST__ACK_TIMEOUT_S": "1",
            "KIZASHI_OUTGOING__ALLOW": f"{HOST}:{setup.receiver}",
            "KIZASHI_HANDOFF__DELIVERY_TIMEOUT_S": "2",
        },
        command=of,
        more_services=setup.second,
        kafka_settings=setup.kafka_settings,
    )
    return run_until_ended(options, Lines(), lambda _: None)


def _listeners(ports: Mapping[str, int]) -> str:
    return ",".join(f"{name}://{HOST}:{port}" for name, port in ports.items())


def _signal(pids: list[int], number: signal.Signals) -> list[int]:
    reached = []
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
            reached.append(pid)
    return reached


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
