"""Records many at a time against the same records one by one: nothing may tell the two apart."""

import csv
import io
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.bench.cases.cards import card_list
from services.ingest.cards import columns, encodings
from services.ingest.cards.emails import Addresses, read_addresses
from services.ingest.cards.listing import Listing, read_layout
from services.ingest.cards.options import CardOptions
from services.ingest.cards.outcomes import Outcome
from services.ingest.cards.phones import Number, read_phones
from services.ingest.cards.tables import Row, read_rows
from shared.identity import SHARED_MAILBOXES
from tests.unit.ingest.cards.reading import LIMIT, NOW

HEADER = (
    "会社名", "部署名", "役職", "姓", "名", "氏名", "フリガナ", "セイ", "メイ", "e-mail", "e-mail2", "郵便番号", "住所",
    "都道府県", "建物名", "TEL会社", "TEL直通", "Fax", "携帯電話", "URL", "業種", "名刺交換日", "展示会名", "メモ",
    "タグ", "同意日", "電話同意", "オプトアウト日", "メール配信同意", "配信停止", "展示会A", "展示会A", "自由記入",
    "展示会1", "メモ1", "メモ2", "タグ1", "TEL1", "個人情報同意", "同意", "メルマガ", "メール配信停止", "展示会2026",
    "TEL(代表)",
)  # fmt: skip
SIGNS = [
    "", " ", "　", "  ", "\t", "?", "？", "*", "＊", "〓", "\ufffd", "=1+1", '="0312345678"', "＝1", "@x", "+x", "-",
    "-1",
    "|x", "\u200b", "\x07", "\x1f", "\x1e", "\x85", "\u2028", "a\nb", "a\r\nb", "\r", '"', 'a"b', "¨a", "\u0338x", "゛",
    "ｶﾞ", "㈱", "１２３", "①", "𠮷田", "ﬁ", "K", "İ", "ß", "NULL", "なし", "\x00", "x" * 70, "あ" * 6_000, "a  b",
    "a 　b", " a", "b ", "　=1", "¨ ¨",
]  # fmt: skip
COMMON: dict[str, list[str]] = {
    "会社名": ["㈱サンプル", "株式会社サンプル", "サンプル(株)", "Sample Inc.", "御中", "カ)サンプル", "有限会社　あ"],
    "部署名": ["製造部 第一課", "営業部"],
    "役職": ["課長", "部長?", "部　長"],
    "姓": ["山田", "佐藤", "Mr. Smith", "山田様"],
    "名": ["太郎", "花子", "太郎 様", "さん", "氏"],
    "氏名": ["山田　太郎", "山田 太郎", "佐藤花子様", "John Smith", "Dr Who"],
    "フリガナ": ["ヤマダ タロウ", "ﾔﾏﾀﾞ ﾀﾛｳ"],
    "セイ": ["ヤマダ"],
    "メイ": ["タロウ"],
    "e-mail": [
        "taro@example.co.jp", "Hanako.Sato@Example.com", "info@example.co.jp", "INFO+x@example.jp", "infos@example.jp",
        "a@b", "a..b@docomo.ne.jp", ".a@example.jp", "taro@example.jp;hanako@example.jp", "taro＠example.jp",
        "ta?o@example.jp", "山田@example.jp", "a@xn--eckwd4c7c.jp", "a@-b.jp", "a@b-.jp", "a_b+c-d@e-f.example.co.jp",
        "x" * 60 + "@a.jp", "x" * 59 + "@a.jp", "Taro@example.jp", "taro @example.jp", "taro@example.jp.", "x@y.1a",
        "\u212a@example.jp",
    ],
    "e-mail2": ["hanako@example.co.jp"],
    "郵便番号": [
        "060-0001", "600001", "000-0000", "100-0001", "1000001", "〒100-0001", "１００－０００１", "SW1A 1AA",
        "100-00-01",
    ],
    "住所": ["東京都千代田区1-1", "東京都千代田区１－１", "東京都\n千代田区", "大阪市北区 2-2 本社ビル", "どこ?"],
    "都道府県": ["東京都"],
    "建物名": ["本社ビル"],
    "TEL会社": [
        "03-1234-5678", "0312345678", "090-1234-5678", "0120-123-456", "０３（１２３４）５６７８", "03-1234-5678 内線3",
        "312345678",
    ],
    "TEL直通": ["06-1234-5678", "080-1234-5678", "050-1234-5678", "0800-123-4567", "03-1234", "-03-1234-5678"],
    "Fax": ["03-1234-5679", "010-123-4567", "0-3-1-2-3-4-5-6-7-8"],
    "携帯電話": [
        "090-1234-5678", "08012345678", "070-1234-5678", "050-1234-5678", "03-1234-5678", "090", "+81-90-1234-5678",
    ],
    "URL": ["https://www.example.co.jp/?a=1", "https://www.example.co.jp/"],
    "業種": ["製造業"],
    "名刺交換日": [
        "2026/05/27", "2026/5/27", "5/27/2026", "27-May-26", "2026-05-27 10:31",
        "24/5/27", "2030/1/1", "1965/1/1", "令和6年5月27日", "いつか", "46000",
    ],
    "展示会名": ["春の展示会", "1", "○"],
    "展示会1": ["春の展示会", "1", "１"],
    "メモ1": ["また連絡する", "1"],
    "メモ2": ["急ぎ", "○"],
    "タグ1": ["A,B", "1"],
    "TEL1": ["03-1234-5678", "312345678"],
    "個人情報同意": ["同意する", "同意しない"],
    "同意": ["○", "×"],
    "メルマガ": ["希望する", "否"],
    "メール配信停止": ["1", "配信可", "希望しない"],
    "展示会2026": ["1"],
    "TEL(代表)": ["03-1234-5678", "03-1234-5678 #12"],
    "メモ": ["また連絡する"],
    "タグ": ["A,B"],
    "メール配信同意": ["○", "×", "2026/05/27", "未定", "-", "NULL"],
    "配信停止": ["1", "いいえ", "停止", "可", "未定"],
    "電話同意": ["可", "2024/05/27"],
    "同意日": ["2026/05/27", "1965/01/01", "R8.5.27"],
    "オプトアウト日": ["2026/05/28", "いつか"],
    "展示会A": ["1", "○", "TRUE", "はい"],
    "自由記入": ["1", "何か"],
}  # fmt: skip
CODECS = {encodings.EUC_JP: "euc_jis_2004"}
ALWAYS = {"会社名", "姓", "名", "e-mail"}
OFTEN = {"携帯電話", "名刺交換日"}


class Singly(Listing):
    """Reads every record by itself, as the rule is written."""

    def outcomes(self) -> Iterator[Outcome]:
        with encodings.reading(self._file, self.layout.found.encoding) as text:
            rows = islice(read_rows(text, self.layout.delimiter), self.layout.preamble + 1, None)
            for number, row in enumerate(rows, 1):
                yield self.outcome_of(number, row)
        with encodings.reading(self._file, self.layout.found.encoding) as text:
            replaced = "\ufffd" in text.read()
        self.know_encoding(replaced=replaced)


def told(kind: type[Listing], data: bytes, limit: int, options: dict[str, Any]) -> list[str]:
    """All that came of a list, as text: the order of names in a dict counts."""
    file, chosen = io.BytesIO(data), CardOptions(**options)
    listing = kind(file, read_layout(file, chosen), chosen, now=NOW, max_activity_bytes=limit)
    return [*map(repr, listing.outcomes()), repr(listing.summary)]


def assert_alike(data: bytes, limit: int = LIMIT, **options: Any) -> None:
    assert told(Listing, data, limit, options) == told(Singly, data, limit, options)


def assert_alike_in(encoding: str, text: str, damage: list[tuple[int, bytes]]) -> None:
    """In another encoding, also with bytes put in below the header that may be no part of it."""
    data = text.encode(CODECS.get(encoding, encoding), "replace")
    body = data[len(text.partition("\n")[0].encode(CODECS.get(encoding, encoding), "replace")) :]
    head = data[: len(data) - len(body)]
    for somewhere, raw in damage:
        place = somewhere % (len(body) + 1)
        body = body[:place] + raw + body[place:]
    assert_alike(head + body + "\n".encode(encoding), encoding=encoding)


def common(name: str) -> st.SearchStrategy[str]:
    usual = st.sampled_from(COMMON[name])
    return usual if name in ALWAYS | OFTEN else st.one_of(st.just(""), usual)


@st.composite
def lists(draw: st.DrawFn) -> str:
    """A list of which most cells are as usual, in some columns; some are anything at all."""
    extra = draw(st.lists(st.sampled_from([name for name in HEADER if name not in ALWAYS | OFTEN]), max_size=8))
    often = [name for name in sorted(OFTEN) if draw(st.integers(0, 4))]
    header = draw(st.permutations([*sorted(ALWAYS), *often, *extra]))
    anything = st.one_of(st.sampled_from(SIGNS), st.text(st.characters(exclude_categories=["Cs"]), max_size=12))
    rows = []
    for _ in range(draw(st.integers(0, 8))):
        row = [draw(common(name)) for name in header]
        if draw(st.booleans()):
            for _ in range(draw(st.integers(1, 2))):
                row[draw(st.integers(0, len(row) - 1))] = draw(anything)
        if draw(st.integers(0, 9)) == 0:
            row = draw(st.sampled_from([row[:-1], [*row, "mehr"], [], [""] * len(row)]))
        rows.append(row)
    text = io.StringIO(newline="")
    quoted, end = draw(st.booleans()), draw(st.sampled_from(["\n", "\r\n", "\r"]))
    made = partial(csv.writer, text, lineterminator=end, delimiter=draw(st.sampled_from([",", "\t", ";"])))
    writer = made(quoting=csv.QUOTE_ALL) if quoted else made()
    writer.writerows([header, *rows])
    if rows and draw(st.integers(0, 9)) == 0:
        # Damage: a quote too many anywhere below the header.
        written = text.getvalue()
        place = draw(st.integers(written.index(end) + 1, len(written)))
        return written[:place] + '"' + written[place:]
    return text.getvalue()


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "event": st.just("秋の展示会"),
        "silent": st.just(True),
        "consent": st.sampled_from([{"email": True, "source": "business-cards"}, {"email": True, "phone": None}]),
        "occurred_at": st.just(datetime(2026, 1, 1, tzinfo=UTC)),
        "region": st.just("US"),
    },
)


BYTES = st.one_of(
    st.binary(max_size=3), st.sampled_from([b"\x81", b"\x8f", b"\x8f\xa1", b"\xe3\x81", b"\xff", b"\x1b$B"])
)
DAMAGE = st.lists(st.tuples(st.integers(0, 100_000), BYTES), max_size=4)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(lists(), OPTIONS)
def test_many_at_a_time_is_as_one_by_one(text: str, options: dict[str, Any]) -> None:
    assert_alike(text.encode(), **options)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(lists(), st.sampled_from(encodings.ENCODINGS), DAMAGE)
def test_so_it_is_in_every_encoding(text: str, encoding: str, damage: list[tuple[int, bytes]]) -> None:
    assert_alike_in(encoding, text, damage)


@pytest.mark.long
@settings(max_examples=2_500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(lists(), OPTIONS, st.sampled_from([LIMIT, 3_000]))
def test_many_at_a_time_is_as_one_by_one_in_many_lists(text: str, options: dict[str, Any], limit: int) -> None:
    assert_alike(text.encode(), limit, **options)


@pytest.mark.long
@settings(max_examples=1_500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(lists(), st.sampled_from(encodings.ENCODINGS), DAMAGE)
def test_so_it_is_in_every_encoding_in_many_lists(text: str, encoding: str, damage: list[tuple[int, bytes]]) -> None:
    assert_alike_in(encoding, text, damage)


@pytest.mark.parametrize("encoding", ["cp932", "utf-16", "utf-8-sig"])
def test_common_cards_are_read_many_at_a_time(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    data = card_list(1_500).decode("cp932").encode(encoding)
    assert_alike(data)

    def by_itself(_: Listing, number: int, row: Row) -> Outcome:
        raise AssertionError(f"record {number} is a common one: {row.cells}")

    monkeypatch.setattr(Listing, "outcome_of", by_itself)
    assert len(told(Listing, data, LIMIT, {"consent": {"email": True}, "event": "expo"})) == 1_501


@pytest.mark.parametrize(("encoding", "lost"), [("cp932", b"\x81"), ("utf-8", b"\xe3\x81"), ("euc-jp", b"\x8f")])
def test_a_byte_that_is_lost_costs_its_own_record_alone(
    monkeypatch: pytest.MonkeyPatch, encoding: str, lost: bytes
) -> None:
    data = card_list(600).decode("cp932").encode(encoding)
    lines = data.splitlines(keepends=True)
    for place in (3, 4, 500):
        lines[place] = lines[place].replace("製造部".encode(encoding), "製造部".encode(encoding) + lost)
    lines[7] = lines[7].replace(b"lead-", b"lead" + lost + b"-")
    broken = b"".join(lines)
    assert_alike(broken)
    asked: list[int] = []
    by_itself = Listing.outcome_of

    def noted(self: Listing, number: int, row: Row) -> Outcome:
        asked.append(number)
        return by_itself(self, number, row)

    monkeypatch.setattr(Listing, "outcome_of", noted)
    assert "encoding_broken" in told(Listing, broken, LIMIT, {})[-1]
    assert asked == [3, 4, 7, 500]


def test_consent_remarks_and_events_are_common_too(monkeypatch: pytest.MonkeyPatch) -> None:
    data = (
        "氏名,メール,メール配信同意,同意日,配信停止,メモ,展示会名\nA,a@example.jp,○,2026/5/1,,また連絡,春\n"
        "B,b@example.jp,,,1,,\nC,c@example.jp,,,,,\nD,d@example.jp,○,,,,秋\nE,e@example.jp,○,2026/5/1,停止,急ぎ,\n"
    ).encode()
    assert_alike(data, consent={"phone": True})
    monkeypatch.setattr(Listing, "outcome_of", None)
    summary = told(Listing, data, LIMIT, {})[-1]
    assert "without_consent=1, opt_outs=2" in summary


def test_a_list_twice_over_and_what_is_remembered_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "MOST_REMEMBERED", 50)
    data = card_list(600)
    assert_alike(data + b"".join(data.splitlines(keepends=True)[1:]))


@pytest.mark.parametrize("of", [columns.Memo(len), columns.Texts("utf-8", "?")])
def test_what_is_remembered_has_an_end(of: columns.Memo[str, int] | columns.Texts) -> None:
    for length, count in ((10, 30_000), (5_000, 500)):
        for start in range(0, count, 100):
            column = [f"{number:0{length}}" for number in range(start, start + 100)]
            _ = of.read(column) if isinstance(of, columns.Memo) else of.read(column, set())
            known = of if isinstance(of, columns.Memo) else of._known
            assert known is None or sum(map(len, known)) <= columns.MOST_CHARACTERS + 100 * length


NUMBERS = st.one_of(
    st.from_regex(r"0[0-9]{8,10}", fullmatch=True),
    st.from_regex(r"0[0-9]{1,3}-[0-9]{1,4}-[0-9]{3,4}", fullmatch=True),
    st.from_regex(r"0(120|800|570|990|[5-9]0|[1-9])-?[0-9]{3,4}-?[0-9]{4}", fullmatch=True),
    st.text("0123456789- ", max_size=14),
)


def assert_numbers_alike(cells: list[str]) -> None:
    aside: set[int] = set()
    numbers = columns.read_numbers(cells, aside)
    assert len(numbers) == len(cells)
    for place, (cell, number) in enumerate(zip(cells, numbers, strict=True)):
        if place in aside or not cell:
            assert number == ""
        else:
            assert read_phones(cell, "JP") == ((Number(number, None, columns.are_mobile([number])),), ())


@given(st.lists(NUMBERS, min_size=1, max_size=12))
def test_numbers_are_those_of_single_cells(cells: list[str]) -> None:
    assert_numbers_alike(cells)


@pytest.mark.long
def test_a_hundred_thousand_numbers_are_those_of_single_cells() -> None:
    chosen = random.Random(20261126)
    for _ in range(1_000):
        digits = ["0" + "".join(chosen.choices("0123456789", k=chosen.choice((9, 9, 10, 10, 8)))) for _ in range(100)]
        places = [chosen.randint(2, 5) for _ in digits]
        assert_numbers_alike([f"{one[:place]}-{one[place:]}" for one, place in zip(digits, places, strict=True)])


LOCAL = st.one_of(
    st.sampled_from(sorted(SHARED_MAILBOXES)), st.text("ab.+_-0A", max_size=6), st.text("xyZ", max_size=66)
)
DOMAIN = st.one_of(st.sampled_from(["docomo.ne.jp", "xn--a.jp", "example.co.jp"]), st.text("ab.-0A", max_size=8))


@given(
    st.lists(
        st.tuples(LOCAL, st.sampled_from(["@", "", "+x@", "@@", "\u212a@"]), DOMAIN).map("".join),
        min_size=1,
        max_size=8,
    )
)
def test_addresses_are_those_of_single_cells(cells: list[str]) -> None:
    aside: set[int] = set()
    addresses = columns.read_addresses(cells, aside)
    assert len(addresses) == len(cells)
    for place, (cell, address) in enumerate(zip(cells, addresses, strict=True)):
        if place in aside or not cell:
            assert address == ""
        else:
            assert read_addresses(cell) == Addresses(personal=(address,))


def test_usual_addresses_and_numbers_are_common() -> None:
    aside: set[int] = set()
    addresses = ["Taro.Yamada@example.co.jp", "a@b-c.example.com", "", "x+y_z-1@example.jp"]
    assert columns.read_addresses(addresses, aside) == [address.lower() for address in addresses]
    assert columns.read_numbers(["03-1234-5678", "", "09012345678", "0120-123-456"], aside) == [
        "+81312345678",
        "",
        "+819012345678",
        "+81120123456",
    ]
    assert not aside
