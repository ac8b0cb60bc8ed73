"""How hard records are pressed on their way to Kafka.

aiokafka presses lz4 as hard as it can and has no setting for it, see https://github.com/aio-libs/aiokafka/issues/1028:
that takes a relay ten times as long as the fast way, which leaves a third more bytes. Every reader of lz4 reads both.
"""

import sys
from functools import partial
from typing import Any

from aiokafka.codec import lz4_encode
from aiokafka.record.default_records import DefaultRecordBatchBuilder

FAST = 0
"""lz4's own default level, see https://github.com/lz4/lz4/blob/dev/lib/lz4frame.h."""


def compression_type(name: str) -> str | None:
    """What a producer of aiokafka takes for `none` or `lz4`, which is the fast one from then on."""
    # It has one implementation in C and one in Python: the builder in use looks the function up beside itself.
    builders: Any = sys.modules[DefaultRecordBatchBuilder.__module__]
    builders.lz4_encode = partial(lz4_encode, level=FAST)
    return None if name == "none" else name
