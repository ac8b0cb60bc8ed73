"""The fields of a form, whatever encoding its page is written in."""

from urllib.parse import quote_from_bytes, unquote_to_bytes, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.site.bodies import MAX_FIELDS, fields_of
from services.ingest.sources.bodies import form_pairs, unquoted
from shared.errors import ProblemError

FORM = [("お名前", "山田　太郎"), ("会社名", "㈱髙橋製作所"), ("備考", "ｶﾀｶﾅと～①")]
URLENCODED = "application/x-www-form-urlencoded"


def urlencoded(pairs: list[tuple[str, str]], codec: str) -> bytes:
    return "&".join(
        f"{quote_from_bytes(n.encode(codec))}={quote_from_bytes(v.encode(codec))}" for n, v in pairs
    ).encode()


def multipart(pairs: list[tuple[str, str]], codec: str, boundary: bytes = b"----x") -> bytes:
    parts = [
        b"--"
        + boundary
        + b'\r\nContent-Disposition: form-data; name="'
        + name.encode(codec)
        + b'"\r\n\r\n'
        + value.encode(codec)
        + b"\r\n"
        for name, value in pairs
    ]
    return b"".join(parts) + b"--" + boundary + b"--\r\n"


@pytest.mark.parametrize("codec", ["utf-8", "cp932"])
def test_a_page_in_utf8_or_shift_jis_is_read_without_being_told(codec: str) -> None:
    assert fields_of(URLENCODED, urlencoded(FORM, codec)) == FORM
    assert fields_of("multipart/form-data; boundary=----x", multipart(FORM, codec)) == FORM


@pytest.mark.parametrize("codec", ["euc_jp", "iso2022_jp"])
def test_older_encodings_are_found_too(codec: str) -> None:
    plain = [("お名前", "山田 太郎"), ("ご相談内容", "製造業向けの資料をください。よろしくお願いします")]
    assert fields_of(URLENCODED, urlencoded(plain, codec)) == plain


def test_a_browsers_euc_has_the_vendors_signs() -> None:
    # 髙橋～①㈱ and half-width kana, as Chromium sends them from a page in EUC-JP.
    body = b"name=%FC%E2%B6%B6%A1%C1%AD%A1%AD%EA%8E%B1a&%B2%F1%BC%D2=%A4%A2"
    assert fields_of(f"{URLENCODED}; charset=euc-jp", body) == [("name", "髙橋～①㈱ｱa"), ("会社", "あ")]
    assert fields_of(URLENCODED, body) == [("name", "髙橋～①㈱ｱa"), ("会社", "あ")]


def test_the_charset_field_decides() -> None:
    ambiguous = [("_charset_", "EUC-JP"), ("a", "ｱｲｳ")]
    assert fields_of(URLENCODED, urlencoded(ambiguous, "euc_jp")) == ambiguous
    declared = fields_of(f"{URLENCODED}; charset=Windows-31J", urlencoded([("a", "ﾂﾎ")], "cp932"))
    assert declared == [("a", "ﾂﾎ")]
    lying = fields_of(f"{URLENCODED}; charset=utf-8", urlencoded(FORM, "cp932"))
    assert lying == FORM, "a charset that does not fit is no reason to lose a form"


def test_signs_that_the_pages_encoding_lacks_come_as_references() -> None:
    body = urlencoded([("a", "&#128512;と&#39640;"), ("b", "日本")], "cp932")
    assert fields_of(URLENCODED, body) == [("a", "😀と高"), ("b", "日本")]


def test_one_broken_sign_loses_no_form() -> None:
    pairs = dict(fields_of(URLENCODED, b"email=a%40example.co.jp&name=%83%ff%fe"))
    assert pairs["email"] == "a@example.co.jp"
    assert "�" in pairs["name"]


def test_files_are_left_out_and_names_unquoted() -> None:
    body = (
        b'--b\r\nContent-Disposition: form-data; name="a%22b"\r\n\r\n1\r\n'
        b'--b\r\nContent-Disposition: form-data; name="up"; filename="x.pdf"\r\nContent-Type: a/b\r\n\r\n%PDF\r\n'
        b'--b\r\nContent-Disposition: form-data; name="c"\r\n\r\n\r\n--b--\r\n'
    )
    assert fields_of("multipart/form-data; boundary=b", body) == [('a"b', "1"), ("c", "")]


@pytest.mark.parametrize(
    ("disposition", "fields"),
    [
        ("form-data; name=email", [("email", "1")]),
        ('form-data; name="x; filename=y"', [("x; filename=y", "1")]),
        ("form-data; name=up; filename=a.txt; filename*=utf-8''a.txt", []),
        ("form-data; filename*=utf-8''a.txt; name=up", []),
    ],
)
def test_parts_are_named_as_the_standard_allows(disposition: str, fields: list[tuple[str, str]]) -> None:
    body = f"--b\r\nContent-Disposition: {disposition}\r\n\r\n1\r\n--b--\r\n".encode()
    assert fields_of("multipart/form-data; boundary=b", body) == fields


def test_json_and_text_bodies() -> None:
    body = b'{"email":"a@example.co.jp","tags":["x","y"],"n":3,"ok":true,"none":null}'
    expected = [("email", "a@example.co.jp"), ("tags", "x"), ("tags", "y"), ("n", 3), ("ok", True)]
    assert fields_of("application/json", body) == expected
    assert fields_of("text/plain;charset=UTF-8", body) == expected
    assert fields_of("text/plain", b"email=a@example.co.jp\r\nname=\r\n") == [
        ("email", "a@example.co.jp"),
        ("name", ""),
    ]
    several_lines = "message=表ソ能\r\n二行目\r\n\r\n四行目\r\nemail=a@example.co.jp\r\n".encode()
    assert fields_of("text/plain", several_lines) == [
        ("message", "表ソ能\n二行目\n\n四行目"),
        ("email", "a@example.co.jp"),
    ]


@pytest.mark.parametrize(
    ("content_type", "body", "status", "code"),
    [
        ("image/png", b"x", 415, "unsupported_media_type"),
        ("", b"x", 415, "unsupported_media_type"),
        ("application/json", b"{", 400, "invalid_json"),
        ("application/json", b"[]", 422, "invalid_fields"),
        ("application/json", b'{"a":{"b":1}}', 422, "invalid_fields"),
        ("application/json", b'{"a":"\\u0000"}', 422, "invalid_fields"),
        ("multipart/form-data", b"x", 400, "invalid_form"),
        ("multipart/form-data; boundary=b", b"nothing", 400, "invalid_form"),
        ("multipart/form-data; boundary=" + "b" * 300, b"nothing", 400, "invalid_form"),
        (
            "multipart/form-data; boundary=b",
            b"--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n--b--\r\n",
            400,
            "invalid_form",
        ),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1',
            400,
            "invalid_form",
        ),
        (URLENCODED, urlencode([("a", "1")] * (MAX_FIELDS + 1)).encode(), 422, "invalid_fields"),
        (URLENCODED, b"&" * 20_000, 422, "invalid_fields"),
        (URLENCODED, b"a" * 300 + b"=1", 422, "invalid_fields"),
    ],
)
def test_what_is_no_form_is_refused(content_type: str, body: bytes, status: int, code: str) -> None:
    with pytest.raises(ProblemError) as caught:
        fields_of(content_type, body)
    assert (caught.value.status, caught.value.code) == (status, code)


@given(
    st.binary(max_size=60),
    st.sampled_from([URLENCODED, "multipart/form-data; boundary=b", "text/plain", "application/json"]),
)
def test_any_bytes_are_read_or_refused(body: bytes, content_type: str) -> None:
    for framed in (
        body,
        b'--b\r\nContent-Disposition: form-data; name="' + body + b'"\r\n\r\n' + body + b"\r\n--b--\r\n",
    ):
        try:
            pairs = fields_of(content_type, framed)
        except ProblemError:
            continue
        assert all(isinstance(name, str) for name, _ in pairs)
        assert all(name.encode().decode() == name for name, _ in pairs)  # no half of a surrogate pair


def test_a_form_may_have_as_many_fields_as_are_allowed() -> None:
    fields = [(f"f{number}", "") for number in range(MAX_FIELDS)]
    assert fields_of(URLENCODED, urlencode(fields).encode()) == fields


# An escape sign makes it a form in ISO-2022-JP.
WRITTEN = st.text(st.characters(exclude_characters="\x1b", codec="utf-8"), max_size=8)


@given(st.lists(st.tuples(WRITTEN, WRITTEN), min_size=1, max_size=5))
def test_a_form_in_utf8_is_read_as_it_was_written(pairs: list[tuple[str, str]]) -> None:
    assert fields_of(URLENCODED, urlencode(pairs).encode()) == pairs


def encoded(pairs: list[tuple[str, str]]) -> bytes:
    return urlencode(pairs, errors="replace").encode()


@given(st.text(st.sampled_from("%aF09gG+&=あ")).map(str.encode) | st.binary(max_size=40))
def test_escapes_are_read_as_the_standard_library_does(text: bytes) -> None:
    assert unquoted(text) == unquote_to_bytes(text)


ODD = [b"%FF", b"%00", b"\x00", b"%3d", b"\xff", b"%4", b"%", b"\n", b"\r", b"%\n"]
TEXTS = st.lists(st.sampled_from([b"a", b"%41", b"+", *ODD]), max_size=3).map(b"".join)
FIELDS = st.lists(st.tuples(TEXTS, TEXTS).map(b"=".join), min_size=1, max_size=3).map(b"&".join)


@settings(max_examples=1_000)
@given(
    FIELDS
    | st.text(st.sampled_from('%aF09g+&= \t"\\\r')).map(str.encode)
    | st.lists(st.tuples(st.text(), st.text())).map(encoded)
)
def test_pairs_are_read_as_the_standard_library_does(body: bytes) -> None:
    parts = [part.partition(b"=") for part in body.strip().replace(b"+", b" ").split(b"&") if part]
    assert form_pairs(body) == [(unquote_to_bytes(name), unquote_to_bytes(value)) for name, _, value in parts]
