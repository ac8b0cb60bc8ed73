import random

import cramjam
import pytest
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

from shared.kafka.compression import FAST, compression_type

HARDEST = 9
WORDS = ["page_viewed", "document_downloaded", "https://www.example.co.jp/pricing", "株式会社サンプル", "lead"]


def _values() -> list[bytes]:
    chosen = random.Random(7)
    return [" ".join([*chosen.choices(WORDS, k=40), str(chosen.random())]).encode() for _ in range(100)]


def _batch(codec: int, values: list[bytes]) -> bytes:
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 1_000_000)
    for offset, value in enumerate(values):
        builder.append(offset, timestamp=0, key=b"lead", value=value, headers=[])
    return bytes(builder.build())


def _pressed(records: bytes, level: int) -> int:
    compressor = cramjam.lz4.Compressor(level=level, content_checksum=False, block_linked=False)
    compressor.compress(records)
    return len(bytes(compressor.finish()))


def test_a_batch_is_pressed_the_fast_way_and_read_as_it_was() -> None:
    assert compression_type("lz4") == "lz4"

    values = _values()
    plain, packed = _batch(DefaultRecordBatch.CODEC_NONE, values), _batch(DefaultRecordBatch.CODEC_LZ4, values)

    header = 61  # of a batch, https://kafka.apache.org/documentation/#recordbatch
    fast, hardest = (_pressed(plain[header:], level) for level in (FAST, HARDEST))
    assert hardest < fast, "the sample must tell the two apart"
    assert len(packed) - header == fast
    assert [record.value for record in DefaultRecordBatch(packed)] == values


@pytest.mark.parametrize(("name", "expected"), [("none", None), ("lz4", "lz4")])
def test_names_of_the_settings_are_what_a_producer_takes(name: str, expected: str | None) -> None:
    assert compression_type(name) == expected
