"""Prints every qualified lead as it comes, from where this subscriber stopped last time.

    pip install "aiokafka[lz4]"
    python subscriber.py 127.0.0.1:8004          # the address that `kizashi status` shows

Only committed records are read, and a position is stored after a record was dealt with: a crash in between repeats the
record, under the same `ce_id`. Keep the ids you have seen, or write in a way that doing it twice does no harm.
"""

import asyncio
import json
import sys

from aiokafka import AIOKafkaConsumer


async def main(bootstrap_servers: str, group: str = "my-sales-system", count: int | None = None) -> None:
    consumer = AIOKafkaConsumer(
        "qualified-leads",
        bootstrap_servers=bootstrap_servers,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed",
    )
    await consumer.start()
    try:
        async for record in consumer:
            event = dict(record.headers)
            lead = json.loads(record.value)
            reasons = ", ".join(f"{reason['rule']} {reason['points']:+g}" for reason in lead["reasons"])
            print(event["ce_id"].decode(), lead["lead"]["identifiers"]["email"], lead["score"], reasons, flush=True)
            await consumer.commit()
            if count is not None and (count := count - 1) <= 0:
                return
    finally:
        await consumer.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], *sys.argv[2:3], *map(int, sys.argv[3:4])))
