"""A relay in a process of its own, to be killed: `python -m tests.integration.shared.relay_process`."""

import asyncio

from shared.relay import Relay
from shared.settings import Settings, load

if __name__ == "__main__":
    asyncio.run(Relay(load(Settings), "scoring").run())
