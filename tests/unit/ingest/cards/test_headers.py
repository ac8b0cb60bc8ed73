"""Headers: known names in every spelling, lines above them, names of one's own."""

import io

import pytest

from services.ingest.cards.headers import field_of
from services.ingest.cards.listing import NoList, read_layout
from services.ingest.cards.options import CardOptions
from tests.unit.ingest.cards.reading import one, read

ALIASES = {
    "company": "会社名 企業名 会社 勤務先",
    "department": "部署名 部署 所属 所属部署",
    "job_title": "役職 役職名 肩書",
    "name": "氏名 名前 お名前 担当者名",
    "last_name": "姓",
    "first_name": "名",
    "name_kana": "フリガナ ふりがな 氏名カナ",
    "last_name_kana": "セイ",
    "first_name_kana": "メイ",
    "email": "メールアドレス メール "
    "Eメール e-mail E-mail email Ｅメール Ｅ－ＭＡＩＬ メールアドレス（必須） メールアドレス2",
    "phone": "電話番号 電話 TEL ＴＥＬ Tel1",
    "phone_company": "TEL会社 代表電話 TEL(会社) ＴＥＬ会社",
    "phone_direct": "TEL直通",
    "phone_department": "TEL部門",
    "mobile": "携帯電話 携帯番号 携帯",
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
}


@pytest.mark.parametrize(
    ("field", "name"), [(field, name) for field, names in ALIASES.items() for name in names.split()]
)
def test_known_names(field: str, name: str) -> None:
    assert field_of(name) == field


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
