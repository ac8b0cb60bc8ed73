"""Prints the qualified leads handed over since an instant, without moving any subscriber's position.

pip install "aiokafka[lz4]"
python replay.py 127.0.0.1:8004 2026-11-20T09:00:00+09:00
"""

import asyncio
import json
import sys
from datetime import datetime

from aiokafka import AIOKafkaConsumer


async def main(bootstrap_servers: str, since: str) -> None:
    # Without a group every partition is ours, and no position is stored.
    consumer = AIOKafkaConsumer(
        "qualified-leads", bootstrap_servers=bootstrap_servers, group_id=None, isolation_level="read_committed"
    )
    await consumer.start()
    try:
        partitions = list(consumer.assignment())
        ends = await consumer.end_offsets(partitions)
        at_ms = int(datetime.fromisoformat(since).timestamp() * 1000)
        found = await consumer.offsets_for_times(dict.fromkeys(partitions, at_ms))
        for partition in partitions:
            # None: nothing was written there since.
            consumer.seek(partition, found[partition].offset if found[partition] else ends[partition])
        while unread := [one for one in partitions if await consumer.position(one) < ends[one]]:
            for records in (await consumer.getmany(*unread, timeout_ms=1000)).values():
                for record in records:
                    lead = json.loads(record.value)
                    print(dict(record.headers)["ce_id"].decode(), lead["handed_over_at"], lead["rule"], flush=True)
    finally:
        await consumer.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
