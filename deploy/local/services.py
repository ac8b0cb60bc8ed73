"""The services as the local stack starts them: one module each, told everything by the environment."""

import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.paths import DataFolder
from deploy.local.probes import http_ready
from deploy.local.state import Addresses
from deploy.local.supervisor import Launch

NAMES = ("ingest", "scoring", "handoff")
HOST = "127.0.0.1"


@dataclass(slots=True)
class ServiceProgram:
    """One service: a Python module with /readyz on a port."""

    name: str
    port: int
    env: Mapping[str, str]
    command: tuple[str, ...]
    stop_signal: signal.Signals = signal.SIGTERM
    # A service survives any death without loss; nothing may delay this one.
    death_signal: signal.Signals = signal.SIGKILL

    def prepare(self) -> Launch:
        """Nothing to clean up."""
        return Launch(self.command, self.env, Path.cwd())

    def ready(self, pid: int) -> bool:  # noqa: ARG002 - only one process can hold the port
        """Answers 200 on /readyz."""
        return http_ready(HOST, self.port)


def service_command(name: str) -> tuple[str, ...]:
    """How a service is started."""
    return (sys.executable, "-m", f"services.{name}")


def service_env(
    env: Mapping[str, str], data: DataFolder, addresses: Addresses, config_dir: str, port: int
) -> dict[str, str]:
    """The caller's environment with what the stack decides; what the caller says about secrets and servers stays."""
    decided = {
        "KIZASHI_DATA_DIR": str(data.path),
        "KIZASHI_CONFIG_DIR": config_dir,
        "KIZASHI_HTTP__PORT": str(port),
        "PYTHONUNBUFFERED": "1",
        # Started where the caller stands, so that relative paths keep their meaning, but never importing from there.
        "PYTHONSAFEPATH": "1",
        # One interpreter allocates one at a time; an arena for each thread that ever read a long body is 8 MiB.
        "MALLOC_ARENA_MAX": env.get("MALLOC_ARENA_MAX", "1"),
    }
    if "kafka" in addresses.embedded:
        decided["KIZASHI_KAFKA__BOOTSTRAP_SERVERS"] = addresses.bootstrap_servers
        # The only consumers of this Kafka: under a name of their own they have their partitions back at once.
        decided["KIZASHI_SCORING__INSTANCE"] = decided["KIZASHI_HANDOFF__INSTANCE"] = "local"
    if "postgres" in addresses.embedded:
        decided["KIZASHI_DATABASE__URL"] = addresses.database_url
    if not {"KIZASHI_IDENTITY_SECRET", "KIZASHI_IDENTITY_SECRET_FILE"} & env.keys():
        decided["KIZASHI_IDENTITY_SECRET_FILE"] = str(data.identity_secret)
    return {**env, **decided}
