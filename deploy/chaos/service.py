"""`python -m deploy.chaos.service NAME …`: a service as it is, behind gates, with a clock that can be set wrong.

Nothing of the service knows of this: its addresses come from the environment, as always, and its clock is replaced
before anything imports it.
"""

import argparse
import os
import runpy
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from deploy.local.ports import HOST
from shared import clock

LOOK_EVERY_S = 0.05


def command(
    name: str, instance: str, kafka: int, postgres: int | None, clock_file: Path, plant: str = ""
) -> tuple[str, ...]:
    """How the stack starts service `name`, a member of its group as `instance`; ports are those of its gates."""
    return (
        sys.executable,
        "-m",
        "deploy.chaos.service",
        name,
        f"--instance={instance}",
        f"--kafka={kafka}",
        f"--clock-file={clock_file}",
        *((f"--postgres={postgres}",) if postgres else ()),
        *((f"--plant={plant}",) if plant else ()),
    )


def wrong_clock(file: Path, right: Callable[[], datetime]) -> Callable[[], datetime]:
    """A clock that is off by the seconds written in `file`."""
    looked, offset = -1.0, timedelta(0)

    def now() -> datetime:
        nonlocal looked, offset
        if time.monotonic() - looked > LOOK_EVERY_S:
            looked = time.monotonic()
            try:
                offset = timedelta(seconds=float(file.read_text(encoding="ascii") or 0))
            except OSError:
                offset = timedelta(0)
        return right() + offset

    return now


def main() -> None:
    """Set the environment and the clock, then become the service."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--instance", required=True)
    parser.add_argument("--kafka", type=int, required=True)
    parser.add_argument("--postgres", type=int)
    parser.add_argument("--clock-file", type=Path, required=True)
    parser.add_argument("--plant", default="")
    given = parser.parse_args()
    os.environ["KIZASHI_KAFKA__BOOTSTRAP_SERVERS"] = f"{HOST}:{given.kafka}"
    os.environ["KIZASHI_SCORING__INSTANCE"] = os.environ["KIZASHI_HANDOFF__INSTANCE"] = given.instance
    if given.postgres:
        url = urlsplit(os.environ["KIZASHI_DATABASE__URL"])
        behind = url._replace(netloc=f"{url.netloc.rpartition(':')[0]}:{given.postgres}")
        os.environ["KIZASHI_DATABASE__URL"] = behind.geturl()
    clock.system_clock = wrong_clock(given.clock_file, clock.system_clock)
    if given.plant:
        from deploy.chaos.plants import PLANTS  # noqa: PLC0415 - after the clock, as it imports the service

        PLANTS[given.plant].plant()
    sys.argv = [f"services.{given.name}"]
    runpy.run_module(f"services.{given.name}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
