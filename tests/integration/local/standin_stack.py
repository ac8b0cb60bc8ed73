"""A supervisor whose services are stand-ins, as a program: what `kizashi up` does, with everything else real."""

import os
import sys
from argparse import ArgumentParser
from pathlib import Path

from deploy.local.report import Lines
from deploy.local.run import run_until_ended
from deploy.local.stack import StackOptions

STANDIN = str(Path(__file__).with_name("standin.py"))


def command(name: str) -> tuple[str, ...]:
    failing = ("--fail",) if os.environ.get("STANDIN_FAILS") == name else ()
    return (sys.executable, STANDIN, *failing)


def main() -> int:
    parser = ArgumentParser()
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--config-dir", type=Path)
    parser.add_argument("--port-base", type=int)
    given = parser.parse_args()
    options = StackOptions(data_dir=given.data_dir, port_base=given.port_base, command=command)
    return run_until_ended(options, Lines(), lambda _: print("ready", flush=True))


if __name__ == "__main__":
    raise SystemExit(main())
