"""Headers: known names in every spelling, lines above them, names of one's own."""

import io

import pytest

from services.ingest.cards.headers import field_of, read_header
from services.ingest.cards.listing import NoList, read_layout
from services.ingest.cards.options import CardOptions
from tests.unit.ingest.cards.reading import one, read

ALIASES = {
    "company": "会社名 企業名 会社 勤務先",
    "department": "部署名 部署 所属 所属部署",
    "job_title": "役職 役職名 肩書",
    "name": "氏名 名前 お名前 担当者名",
    "last_name": "姓 氏名（姓） お名前(姓) 姓（漢字）",
    "first_name": "名 氏名（名）",
    "name_kana": "フリガナ ふりがな 氏名カナ 氏名（フリガナ） お名前(カナ)",
    "last_name_kana": "セイ 姓(カナ) フリガナ（姓） 氏名（セイ）",
    "first_name_kana": "メイ 名（フリガナ） フリガナ（メイ）",
    "email": "メールアドレス メール "
    "Eメール e-mail E-mail email Ｅメール Ｅ－ＭＡＩＬ メールアドレス（必須） メールアドレス(会社) "
    "メールアドレス（勤務先） メール【個人】",
    "phone": "電話番号 電話 TEL ＴＥＬ 電話番号（ハイフンなし）",
    "phone_company": "TEL会社 代表電話 TEL(会社) ＴＥＬ会社 TEL(代表) 電話番号（代表）（必須）",
    "phone_direct": "TEL直通 電話番号（直通） TEL[直通]",
    "phone_department": "TEL部門 電話(部門)",
    "mobile": "携帯電話 携帯番号 携帯 電話番号（携帯） 携帯電話(会社)",
    "fax": "FAX Fax ファックス ＦＡＸ",
    "postal_code": "郵便番号 〒",
    "address": "住所",
    "state": "都道府県",
    "city": "市区町村",
    "street": "番地",
    "building": "建物名",
    "website": "URL ホームページ Webサイト ＵＲＬ",
    "exchanged_at": "名刺交換日 交換日 登録日",
    "memo": "メモ 備考",
    "tags": "タグ",
    "consent": "同意 consent",
    "consent_profiling": "個人情報同意 個人情報の取扱いへの同意 個人情報の取り扱いへの同意 プライバシーポリシー同意",
    "consent_email": "オプトイン メルマガ optin",
    "opt_out_email": "配信停止 オプトアウト",
}
UNKNOWN = (
    "展示会2026", "イベント2026", "展示会26", "タグ2026", "メモ2026", "メルマガ2026", "メルマガ1", "同意1",
    "展示会(春)", "タグ(A)", "メルマガ（2026年春号）", "メールアドレス(代表)", "電話番号(自宅)", "同意（会社）", "()",
    "メールアドレス(会社)(携帯)",
)  # fmt: skip


@pytest.mark.parametrize(
    ("field", "name"), [(field, name) for field, names in ALIASES.items() for name in names.split()]
)
def test_known_names(field: str, name: str) -> None:
    assert field_of(name) == field


@pytest.mark.parametrize("name", UNKNOWN)
def test_names_that_may_mean_anything_are_unknown(name: str) -> None:
    assert [column.field for column in read_header(["会社名", name], {})] == ["company", None]


@pytest.mark.parametrize(
    ("header", "fields"),
    [
        ("メールアドレス,メールアドレス2", ["email", "email"]),
        ("e-mail2,E-mail", ["email", "email"]),
        ("電話番号1,電話番号2", ["phone", "phone"]),
        ("TEL①,TEL②,TEL③", ["phone"] * 3),
        ("メールアドレス_1,メールアドレス（2）", ["email", "email"]),
        ("Tel1", ["phone"]),
        ("Tel2", [None]),
        ("タグ01,タグ02", ["tags", "tags"]),
        ("展示会,展示会2,展示会2026", ["event", "event", None]),
        ("展示会25,展示会26", [None, None]),
        ("メルマガ,メルマガ2", ["consent_email", None]),
        ("連絡先,メール2", ["email", "email"]),
    ],
)
def test_a_number_counts_beside_others_of_its_kind(header: str, fields: list[str | None]) -> None:
    assert [column.field for column in read_header(header.split(","), {"連絡先": "email"})] == fields


@pytest.mark.parametrize(
    "name", ["展示会2026", "イベント2026", "展示会26", "展示会1", "展示会", "メモ1", "タグ2026", "メルマガ2026"]
)
@pytest.mark.parametrize("mark", ["1", "○", "TRUE"])
def test_a_tag_that_a_tool_adds_is_a_tag_and_counts_nothing_twice(name: str, mark: str) -> None:
    header, cells = "会社名,氏名,e-mail,名刺交換日", ("サンプル", "山田", "taro@example.co.jp", "2026/05/27")
    before, after = one(header, *cells), one(f"{header},{name}", *cells, mark)
    assert before.ids == after.ids
    assert after.posted()["properties"] == {"tags": [name], "consent": "none"}


def test_text_under_a_numbered_name_is_what_it_says() -> None:
    posted = one(
        "氏名,メール,展示会1,メモ1,メモ2,タグ1,タグ2", "B", "b@example.jp", "春", "急ぎ", "1", "A", "B、C"
    ).posted()
    properties = posted["properties"]
    assert (properties["event"], properties["memo"], properties["tags"]) == ("春", "急ぎ", ["メモ2", "A", "B", "C"])


def test_eights_export_of_2016() -> None:
    text = (
        "06月01日09時57分 JST にEightで生成された名刺リストです。\n合計 729 件\n\n注意,書き\n\n\n\n"
        "会社名\t部署名\t役職\t氏名\te-mail\t郵便番号\t住所\tTEL会社\tFAX\t携帯電話\tURL\t名刺交換日\t"
        "Eightでつながっている人\t再データ化中の名刺\t'?'を含んだデータ\n"
        "サンプル\t\t\t山田　太郎\ttaro@example.co.jp\t1000001\t東京都\t03-1234-5678\t\t\t\t2016/05/27\t1\t1\t\n"
    )
    found = read(text)
    assert (found.layout.delimiter, found.layout.header_line, found.layout.preamble) == ("\t", 8, 7)
    posted = found.posted()
    assert posted["attributes"]["name"] == "山田 太郎"
    assert posted["properties"]["tags"] == ["Eightでつながっている人", "再データ化中の名刺"]
    assert found.outcomes[0].line == 9


def test_a_list_of_two_known_columns_needs_no_third() -> None:
    assert one("氏名,メールアドレス", "山田", "taro@example.co.jp").statuses == ["accepted"]


@pytest.mark.parametrize("data", [b"", b"\n\n\n", b"\xef\xbb\xbf", " , ,\n".encode("utf-16")])
def test_an_empty_file_is_no_list(data: bytes) -> None:
    with pytest.raises(NoList) as caught:
        read_layout(io.BytesIO(data), CardOptions())
    assert caught.value.code == "empty_file"


@pytest.mark.parametrize("data", ["山田,taro@example.co.jp\n佐藤,x@example.co.jp\n", "\x00\x01\x02,b\n" * 9])
def test_a_file_without_header_is_no_list(data: str) -> None:
    with pytest.raises(NoList, match="会社名") as caught:
        read_layout(io.BytesIO(data.encode()), CardOptions())
    assert caught.value.code == "no_header"


@pytest.mark.parametrize("data", [b"PK\x03\x04\x14\x00\x06\x00", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\x00\x00"])
def test_a_file_of_a_spreadsheet_program_is_called_so(data: bytes) -> None:
    for options in (CardOptions(), CardOptions(encoding="cp932")):
        with pytest.raises(NoList, match="save it there as CSV") as caught:
            read_layout(io.BytesIO(data + bytes(200)), options)
        assert caught.value.code == "spreadsheet_file"


def test_columns_of_ones_own() -> None:
    columns = {"得意先": "company", "ご担当": "name", "連絡先": "email"}
    found = one("得意先,ご担当,連絡先", "サンプル", "山田", "taro@example.co.jp", columns=columns)
    assert found.posted()["attributes"] == {"name": "山田", "company": "サンプル"}


def test_unknown_columns_are_kept_and_told() -> None:
    found = one("会社名,氏名,メール,血液型,展示会A", "サンプル", "山田", "taro@example.co.jp", "AB", "1")
    assert found.posted()["properties"]["columns"] == {"血液型": "AB"}
    assert found.posted()["properties"]["tags"] == ["展示会A"]
    assert any("血液型, 展示会A" in note.text("en") for note in found.summary.notes)


def test_the_order_of_columns_and_new_tags_leave_the_id_alone() -> None:
    first = one("会社名,氏名,メール,タグA", "サンプル", "山田", "taro@example.co.jp", "")
    again = one("メール,タグA,会社名,氏名", "taro@example.co.jp", "1", "サンプル", "山田")
    other = one("会社名,氏名,メール,タグA", "サンプル", "山田", "jiro@example.co.jp", "")
    assert first.ids == again.ids != other.ids
