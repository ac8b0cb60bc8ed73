"""A receiver that takes every connection and never answers: `python -m deploy.bench.limits.hanging PORT`."""

import asyncio
import sys
from contextlib import suppress


async def _take(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while await reader.read(65_536):
            pass


async def main(port: int) -> None:
    """Listen until the process is ended."""
    server = await asyncio.start_server(_take, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
