"""Every encoding of Japanese lists is recognised, and the same cells give the same ids in each."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.cards import encodings
from services.ingest.cards.encodings import CP932, EUC_JP, ISO_2022_JP, UTF_8, UTF_8_SIG, UTF_16, UTF_16_BE, UTF_16_LE
from tests.unit.ingest.cards.reading import HEADER, read

LIST = f"{HEADER}\r\n㈱サンプル①,製造部,課長,山田 太郎,taro@example.co.jp,090-1234-5678,,2026/05/27\r\n"
PLAIN = LIST.replace("㈱", "株式会社").replace("①", "")


def seven_bit(text: str) -> bytes:
    """ISO-2022-JP as Windows programs write it (CP50221): with ㈱, and half-width katakana by ESC ( I."""
    out, mode = b"", b"\x1b(B"
    for character in text:
        raw = character.encode("euc_jis_2004")
        if len(raw) == 1:
            wanted = b"\x1b(B"
        elif raw[0] == 0x8E:
            wanted, raw = b"\x1b(I", bytes((raw[1] & 0x7F,))
        else:
            wanted, raw = b"\x1b$B", bytes(byte & 0x7F for byte in raw)
        out += (wanted if wanted != mode else b"") + raw
        mode = wanted
    return out + (b"\x1b(B" if mode != b"\x1b(B" else b"")


WRITTEN = {
    UTF_8: LIST.encode(),
    UTF_8_SIG: LIST.encode("utf-8-sig"),
    CP932: LIST.encode("cp932"),
    UTF_16: LIST.encode("utf-16"),
    UTF_16_LE: LIST.encode("utf-16-le"),
    UTF_16_BE: LIST.encode("utf-16-be"),
    EUC_JP: LIST.encode("euc_jis_2004"),
    ISO_2022_JP: seven_bit(LIST),
}


@pytest.mark.parametrize("encoding", WRITTEN)
def test_is_recognised_and_read(encoding: str) -> None:
    found = read(WRITTEN[encoding])
    assert found.layout.found.encoding == encoding
    assert (found.layout.found.sure, found.layout.found.broken) == (True, False)
    assert found.posted()["attributes"]["company"] == "株式会社サンプル1"
    assert found.ids == read(LIST).ids


@pytest.mark.parametrize("encoding", ["iso2022_jp", "euc_jp", "shift_jis"])
def test_python_s_own_writers_are_read_too(encoding: str) -> None:
    assert read(PLAIN.encode(encoding)).ids == read(PLAIN).ids


def test_half_width_katakana_of_iso_2022_jp() -> None:
    text = f"{HEADER}\r\nｻﾝﾌﾟﾙ商事,,,ﾔﾏﾀﾞ 太郎,taro@example.co.jp,,,\r\n"
    assert read(seven_bit(text)).posted()["attributes"]["company"] == "サンプル商事"


def test_an_escape_cut_by_the_end_of_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    data = seven_bit(LIST * 3)
    expected = read(data).ids
    for size in range(1, 12):
        monkeypatch.setattr(encodings, "_CHUNK", size)
        assert read(data).ids == expected


def test_an_english_list_is_ascii() -> None:
    found = read("Name,Company,Email\nTaro,Sample Inc.,taro@example.com\n")
    assert (found.layout.found.encoding, found.layout.found.sure) == (UTF_8, True)


def test_broken_bytes_are_replaced_and_told() -> None:
    data = LIST.encode("cp932").replace("山田".encode("cp932"), b"\x8eR\x81")
    found = read(data + LIST.encode("cp932") * 3)
    assert (found.layout.found.encoding, found.layout.found.broken) == (CP932, True)
    assert "encoding_broken" in {note.code for note in found.summary.notes}
    assert "unreadable" in found.codes(1)
    assert found.statuses[0] == "accepted"


@pytest.mark.parametrize("encoding", [UTF_8, CP932, EUC_JP])
def test_broken_bytes_far_below_the_header_are_told_first_of_the_list(encoding: str) -> None:
    data = LIST + 2_000 * LIST.partition("\n")[2]
    codec = "euc_jis_2004" if encoding == EUC_JP else encoding
    whole, broken = (read(data.encode(codec) + end) for end in (b"", b"\r\n,\x81,\r\n"))
    assert (whole.layout.found.encoding, whole.layout.found.sure, whole.layout.found.broken) == (encoding, True, False)
    assert (broken.layout.found.encoding, broken.layout.found.sure, broken.layout.found.broken) == (
        encoding,
        False,
        True,
    )
    told = [note.code for note in broken.summary.notes]
    assert told == ["encoding_guessed", "encoding_broken", *(note.code for note in whole.summary.notes)]


def test_a_sign_for_what_was_lost_before_is_no_broken_byte() -> None:
    found = read(LIST + LIST.partition("\n")[2].replace("課長", "課\ufffd"))
    assert (found.layout.found.encoding, found.layout.found.sure, found.layout.found.broken) == (UTF_8, True, False)
    assert "unreadable" in found.codes(2)


def test_a_named_encoding_is_taken() -> None:
    found = read(LIST.encode("cp932"), encoding=CP932)
    assert (found.layout.found.encoding, found.layout.found.other) == (CP932, UTF_8)


@pytest.mark.parametrize(
    ("said", "known"),
    [("Shift_JIS", CP932), ("sjis", CP932), ("UTF8", UTF_8), ("EUC-JP", EUC_JP), ("utf-16", UTF_16), ("latin-1", None)],
)
def test_names_of_encodings(said: str, known: str | None) -> None:
    assert encodings.encoding_named(said) == known


@pytest.mark.parametrize(("data", "encoding"), [(WRITTEN[UTF_16], UTF_16), (WRITTEN[UTF_16_BE], UTF_16_BE)])
def test_utf_16_is_named_with_or_without_a_mark(data: bytes, encoding: str) -> None:
    assert read(data, encoding=UTF_16).layout.found.encoding == encoding
    assert encodings.with_byte_order(io.BytesIO(b"ab"), UTF_16) == UTF_16_LE


_JAPANESE = st.text(
    "あいうえおアイウエオ東京都千代田株式会社サンプル製造部長山田太郎佐藤花子0123456789abc ー・", min_size=1
)


@settings(max_examples=60)
@given(st.lists(st.tuples(_JAPANESE, _JAPANESE), min_size=1, max_size=5))
def test_any_japanese_text_is_told_apart_by_its_header(people: list[tuple[str, str]]) -> None:
    lines = [f'"{company}","{name}",taro{place}@example.co.jp' for place, (company, name) in enumerate(people)]
    text = "\r\n".join(["会社名,氏名,メールアドレス", *lines, ""])
    told = {encoding: read(text.encode(encoding)).ids for encoding in ("utf-8", "cp932", "euc_jp", "utf-16")}
    assert set(map(tuple, told.values())) == {tuple(told["utf-8"])}


@settings(max_examples=300)
@given(st.binary(max_size=400))
def test_any_bytes_have_an_encoding_and_lines(data: bytes) -> None:
    file = io.BytesIO(data)
    found = encodings.detect(file)
    with encodings.reading(file, found.encoding) as text:
        text.read()
    assert len(encodings.head_lines(file, found.encoding, 5)) <= 5
