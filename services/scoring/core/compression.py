"""Packed states as they are stored: long ones compressed.

PostgreSQL would compress them itself, by a way that takes several times as long: a quarter of its time for a lead that
is folded again. Format: one byte 01, then the text's length (four bytes, the lowest first) and an LZ4 block, see
https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md; what is not compressed is JSON and begins otherwise.
"""

import cramjam

LONG_BYTES = 1_024
"""Shorter ones stay as they are: PostgreSQL leaves them alone, too."""
_MARK = b"\x01"


def compress(packed: bytes) -> bytes:
    """`packed` as it is stored."""
    return packed if len(packed) < LONG_BYTES else _MARK + bytes(cramjam.lz4.compress_block(packed))


def decompress(stored: bytes) -> bytes:
    """What `compress` was given."""
    return bytes(cramjam.lz4.decompress_block(memoryview(stored)[1:])) if stored[:1] == _MARK else stored
