"""In which of the encodings of Japanese lists a file is written, and the way to read it as text."""

import codecs
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, TextIO

from services.ingest.cards.cells import strip_controls
from services.ingest.cards.headers import SEARCHED_ROWS, most_known
from services.ingest.cards.tables import lines_of

UTF_8, UTF_8_SIG, CP932, EUC_JP, ISO_2022_JP = "utf-8", "utf-8-sig", "cp932", "euc-jp", "iso-2022-jp"
UTF_16, UTF_16_LE, UTF_16_BE = "utf-16", "utf-16-le", "utf-16-be"
_TWO_BYTES = (UTF_16, UTF_16_LE, UTF_16_BE)
ENCODINGS = (UTF_8, UTF_8_SIG, CP932, *_TWO_BYTES, EUC_JP, ISO_2022_JP)
NAMES = {
    **{name.replace("-", "").replace("_", ""): name for name in ENCODINGS},
    **dict.fromkeys(("shiftjis", "sjis", "windows31j", "ms932", "mskanji"), CP932),
    **dict.fromkeys(("eucjp", "cp51932", "eucjpms"), EUC_JP),
    **dict.fromkeys(("iso2022jp", "cp50220", "cp50221", "jis"), ISO_2022_JP),
    **dict.fromkeys(("utf8bom", "utf8sig"), UTF_8_SIG),
}
"""Names under which people know them, without signs and in lower case."""

# As the vendors of Japanese systems write EUC: with ㈱ and ①, which Python's euc_jp does not know.
_CODECS = {EUC_JP: "euc_jis_2004", ISO_2022_JP: "euc_jis_2004"}
_HEAD_BYTES = 65_536
_CHUNK = 1_048_576
_LOST = "\ufffd"
_ESCAPE = re.compile(rb"\x1b(?:\$[@B]|\$\([@BDOPQ]|\([BJIH])")
_TO_EUC = bytes(byte | 0x80 if 0x21 <= byte <= 0x7E else byte for byte in range(256))
_LONGEST_ESCAPE = 4


@dataclass(frozen=True, slots=True)
class Found:
    """The encoding of a file, how sure that is, and what it might be instead."""

    encoding: str
    sure: bool
    broken: bool | None
    """Whether some bytes cannot be read in it; they become U+FFFD. None: reading will show."""
    other: str
    """The next likely one, for a look at both."""

    def once_read(self, file: BinaryIO, *, replaced: bool) -> "Found":
        """What is known when the whole text was read, in this encoding, and whether U+FFFD stood in it."""
        if self.broken is not None:
            return self
        # A text may hold U+FFFD also where nothing was lost.
        broken = replaced and is_broken(file, self.encoding)
        return replace(self, sure=self.sure and not broken, broken=broken)


def encoding_named(text: str) -> str | None:
    """One of ENCODINGS by a name people use (`Shift_JIS`, `UTF8`, `EUC-JP`), None for another."""
    return NAMES.get(re.sub(r"[\W_]+", "", text).lower())


def detect(file: BinaryIO) -> Found:
    """The encoding of a file that can be read from its start again.

    A byte-order mark decides; so do escapes of ISO-2022-JP and the zeros of UTF-16. Otherwise the encoding wins in
    which the header's names are known ones, then the one with fewer unreadable bytes, then the more usual one.
    """
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    if certain := _certain(head):
        return Found(certain, sure=True, broken=is_broken(file, certain), other=CP932)
    if head.isascii() and not is_broken(file, UTF_8):
        return Found(UTF_8, sure=True, broken=False, other=CP932)
    known = {name: _known_names(head, name) for name in (UTF_8, CP932, EUC_JP)}
    names, most = list(known.values()), max(known.values())
    # Where the names decide, the whole file need not be read for this; for the others little of it is.
    decided = names.count(most) == 1
    broken = {name: None if decided and known[name] == most else is_broken(file, name) for name in known}
    best, second, _ = sorted(known, key=lambda name: (-known[name] or 1, bool(broken[name])))
    sure = not broken[best] and (best == UTF_8 or known[best] > known[second])
    return Found(best, sure, broken[best], second)


def _certain(head: bytes) -> str | None:
    if head.startswith(codecs.BOM_UTF8):
        return UTF_8_SIG
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return UTF_16
    if b"\x1b$" in head or b"\x1b(" in head:
        return ISO_2022_JP
    even, odd = head[0:2_000:2].count(0), head[1:2_000:2].count(0)
    # Delimiters, digits and line ends have a zero for their other half; no other encoding of text holds any.
    if even + odd > len(head[:2_000]) // 50:
        return UTF_16_LE if odd > even else UTF_16_BE
    return None


def _known_names(head: bytes, encoding: str) -> int:
    """The most known names on one line, whatever the lines are cut by."""
    # To replace what is none of an encoding takes long; text has at least as many lines as its bytes.
    first = b"".join(head.splitlines(keepends=True)[:SEARCHED_ROWS])
    lines = codecs.decode(first, _CODECS.get(encoding, encoding), "replace").splitlines()[:SEARCHED_ROWS]
    return most_known((re.split(r'[",\t;]+', line) for line in lines), {})


def with_byte_order(file: BinaryIO, encoding: str) -> str:
    """The encoding, and of UTF-16 without a mark the one with the byte order the file seems to have."""
    if encoding != UTF_16:
        return encoding
    file.seek(0)
    likely = _certain(file.read(_HEAD_BYTES))
    return likely if likely in _TWO_BYTES else UTF_16_LE


def is_broken(file: BinaryIO, encoding: str) -> bool:
    """Whether some bytes of the whole file cannot be read in it."""
    file.seek(0)
    decoder = codecs.getincrementaldecoder(_CODECS.get(encoding, encoding))("strict")
    try:
        for chunk in _chunks(file, encoding):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeError:
        return True
    return False


def count_lines(file: BinaryIO) -> int:
    """At least as many as the file has lines, in any encoding."""
    file.seek(0)
    return sum(chunk.count(b"\n") + chunk.count(b"\r") + 1 for chunk in iter(lambda: file.read(_CHUNK), b""))


class Raw:
    """A file's bytes in `codec`, in which ASCII is as ever, and no part of another character is a delimiter, a quote or
    a line end. That is the encoding of the file, but UTF-8 in place of UTF-16 and EUC in place of ISO-2022-JP.

    `replaced`: U+FFFD was read, in place of bytes or as itself.
    """

    def __init__(self, file: BinaryIO, encoding: str) -> None:
        file.seek(0)
        self.codec = raw_codec(encoding)
        self.replaced = False
        chunks = _chunks(file, encoding)
        if encoding == UTF_8_SIG:
            chunks = _without_mark(chunks)
        elif encoding in _TWO_BYTES:
            chunks = _utf_8(chunks, encoding)
        self._bytes = io.BufferedReader(_Chunks(chunks), _CHUNK)

    def read(self, size: int) -> bytes:
        """So many bytes, fewer at the end."""
        return self._bytes.read(size)

    def text(self, raw: bytes) -> str:
        """Bytes that were cut at whole characters as text, unreadable ones as U+FFFD."""
        # The decoder of EUC wants three bytes before it gives a character up.
        text = (raw + b"\n\n").decode(self.codec, "replace")[:-2]
        self.replaced = self.replaced or _LOST in text
        return text


def raw_codec(encoding: str) -> str:
    """The codec of the bytes that `Raw` gives."""
    return UTF_8 if encoding == UTF_8_SIG or encoding in _TWO_BYTES else _CODECS.get(encoding, encoding)


@contextmanager
def reading(file: BinaryIO, encoding: str) -> Iterator[TextIO]:
    """The file as text from its start, line ends as they are, unreadable bytes as U+FFFD. It stays open."""
    file.seek(0)
    chunks = _Chunks(_chunks(file, encoding))
    codec = _CODECS.get(encoding, encoding)
    with io.TextIOWrapper(io.BufferedReader(chunks, _CHUNK), codec, errors="replace", newline="") as text:
        yield text


def _chunks(file: BinaryIO, encoding: str) -> Iterator[bytes]:
    chunks = iter(lambda: file.read(_CHUNK), b"")
    return _euc(chunks) if encoding == ISO_2022_JP else chunks


def _without_mark(chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield next(chunks, b"").removeprefix(codecs.BOM_UTF8)
    yield from chunks


def _utf_8(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    for chunk in chunks:
        yield decoder.decode(chunk).encode()
    yield decoder.decode(b"", final=True).encode()


def head_lines(file: BinaryIO, encoding: str, count: int, longest: int = 200) -> Sequence[str]:
    """The first lines, cut to `longest` characters: what a person looks at to tell encodings apart."""
    file.seek(0)
    raw = file.read(_HEAD_BYTES)
    plain = b"".join(_euc([raw])) if encoding == ISO_2022_JP else raw
    text = codecs.decode(plain, _CODECS.get(encoding, encoding), "replace")
    return [strip_controls(line[:longest]) for line in lines_of(text)[:count]]


class _Chunks(io.RawIOBase):
    """Pieces of bytes as a file to read from."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        super().__init__()
        self._chunks = chunks
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        """As any file opened for reading."""
        return True

    def readinto(self, buffer: Any) -> int:
        """See io.RawIOBase."""
        while not self._ready:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._ready = memoryview(chunk)
        view = memoryview(buffer)
        count = min(len(view), len(self._ready))
        view[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count


def _euc(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """ISO-2022-JP as EUC-JP: what its escapes choose becomes the eighth bit.

    Python's own decoders of it know neither half-width katakana nor the vendors' ㈱, which Japanese programs write.
    """
    mode, kept = b"\x1b(B", b""
    for chunk in chunks:
        data = kept + chunk
        # An escape may be cut by the end of the chunk.
        cut = data.rfind(b"\x1b", -_LONGEST_ESCAPE + 1)
        data, kept = (data[:cut], data[cut:]) if cut >= 0 else (data, b"")
        place = 0
        for escape in _ESCAPE.finditer(data):
            yield _shifted(data[place : escape.start()], mode)
            mode, place = escape.group(), escape.end()
        yield _shifted(data[place:], mode)
    yield kept


def _shifted(segment: bytes, mode: bytes) -> bytes:
    if mode.startswith(b"\x1b$"):
        return segment.translate(_TO_EUC)
    if mode == b"\x1b(I":
        return b"".join(bytes((0x8E, byte | 0x80)) if 0x21 <= byte <= 0x5F else bytes((byte,)) for byte in segment)
    return segment
