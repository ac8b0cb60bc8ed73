"""The names that card readers and lists give to their columns, and ours for them.

Names of Eight's exports (2016 to now), of lists made by hand in Japanese and English, and of consent columns as mail
tools export them. A name may go on in brackets (`TEL(代表)`) or, where others like it stand beside it, in a number.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from unicodedata import normalize

from services.ingest.cards.cells import one_line, strip_controls

TAG_MARKS = frozenset({"1", "○", "◯", "〇", "✓", "レ", "true", "TRUE"})
"""What stands in a column that is itself a tag."""
NAMELESS = "#"
"""How columns without a name are called, with their number."""
MIN_KNOWN = 3
SEARCHED_ROWS = 60
"""So far down a file its header is looked for; Eight puts seven lines above it."""

_ALIASES = {
    "company": "会社名 企業名 会社 勤務先 勤務先名 御社名 貴社名 法人名 組織名 団体名 取引先名 company companyname "
    "organization organisation organizationname accountname",
    "department": "部署名 部署 所属 所属部署 部門 部門名 department division",
    "job_title": "役職 役職名 肩書 肩書き 職位 jobtitle title position",
    "name": "氏名 名前 お名前 担当者名 担当者 ご担当者名 氏名漢字 姓名 name fullname contactname",
    "last_name": "姓 苗字 名字 姓漢字 lastname familyname surname",
    "first_name": "名 名漢字 firstname givenname",
    "name_kana": "フリガナ ふりがな 氏名カナ 氏名かな 氏名フリガナ カナ カナ氏名 namekana kana",
    "last_name_kana": "セイ せい 姓カナ 姓フリガナ 姓かな",
    "first_name_kana": "メイ めい 名カナ 名フリガナ 名かな",
    "email": "メールアドレス メール eメール eメールアドレス 電子メール 電子メールアドレス "
    "email emailaddress mail mailaddress",
    "mobile": "携帯電話 携帯番号 携帯 携帯電話番号 tel携帯 mobile mobilephone cellphone cell",
    "phone_direct": "tel直通 直通電話 直通 直通番号 directphone",
    "phone": "電話番号 電話 tel 電話番号会社携帯 phone phonenumber telephone",
    "phone_department": "tel部門 部門電話",
    "phone_company": "tel会社 tel代表 代表電話 代表番号 会社電話 会社電話番号 代表 workphone businessphone "
    "companyphone",
    "fax": "fax ファックス ファクス fax番号 faxnumber",
    "postal_code": "郵便番号 〒 postalcode zip zipcode postcode",
    "address": "住所 所在地 会社住所 勤務先住所 address streetaddress",
    "state": "都道府県 state prefecture",
    "city": "市区町村 市区郡 city",
    "street": "番地 町名番地 丁目番地 町域番地 street",
    "building": "建物名 ビル名 建物 building",
    "country": "国 国名 country",
    "website": "url ホームページ webサイト ウェブサイト サイト hp website web homepage",
    "industry": "業種 業界 industry",
    "exchanged_at": "名刺交換日 交換日 登録日 名刺登録日 登録日時 獲得日 取得日 来場日 来場日時 exchangedate "
    "exchangedat exchangedon date registeredat",
    "event": "イベント イベント名 展示会 展示会名 セミナー名 event eventname exhibition",
    "memo": "メモ 備考 memo note notes remarks",
    "tags": "タグ tags tag ラベル",
    "consent": "同意 consent",
    "consent_profiling": "個人情報同意 個人情報の同意 個人情報の取扱い 個人情報の取り扱い 個人情報の取扱い同意 "
    "個人情報の取扱いへの同意 個人情報の取り扱いへの同意 個人情報の取扱いに関する同意 個人情報の取扱いについて "
    "個人情報取扱同意 個人情報取扱い同意 個人情報取り扱い同意 個人情報保護方針への同意 プライバシーポリシー同意 "
    "プライバシーポリシーへの同意 privacyconsent privacypolicy profilingconsent",
    "consent_email": "オプトイン メール同意 メール配信同意 配信同意 メルマガ同意 メール配信 メルマガ配信 メルマガ "
    "メール配信可否 メール可否 optin emailconsent emailoptin",
    "consent_phone": "電話同意 電話可否 電話連絡同意 phoneconsent phoneoptin",
    "consent_at": "同意日 同意日時 同意取得日 オプトイン日 オプトイン日時 consentdate consentat optindate",
    "opt_out_email": "配信停止 配信拒否 メール配信停止 メール配信拒否 メール拒否 オプトアウト メール不可 メルマガ停止 "
    "optout unsubscribe unsubscribed emailoptout",
    "opt_out_phone": "電話拒否 電話不可 電話禁止 架電禁止 架電不可 donotcall phoneoptout",
    "opt_out_at": "オプトアウト日 オプトアウト日時 配信停止日 配信停止日時 停止日 optoutdate unsubscribedat",
}
_OURS = {alias: ours for ours, aliases in _ALIASES.items() for alias in aliases.split()}
FIELDS = frozenset(_ALIASES)
"""Every field a column can be."""
_OF_WORK = "会社 勤務先 職場 仕事 仕事用 業務用 社用 work office business company"
_KANA = "カナ かな フリガナ ふりがな よみ kana"
_BEHIND = {
    ("email", "email"): f"{_OF_WORK} 個人 携帯 pc private personal mobile",
    ("phone", "phone_company"): f"{_OF_WORK} 代表 main",
    ("phone", "phone_direct"): "直通 ダイヤルイン direct",
    ("phone", "phone_department"): "部門 部署 department",
    ("phone", "mobile"): "携帯 携帯電話 mobile cell",
    ("phone", "fax"): "fax",
    ("mobile", "mobile"): f"{_OF_WORK} 個人 私用 private personal",
    ("fax", "fax"): f"{_OF_WORK} 代表 直通 部門 部署",
    ("name", "last_name"): "姓 苗字 名字 last",
    ("name", "first_name"): "名 first",
    ("name", "name_kana"): _KANA,
    ("name", "last_name_kana"): "セイ せい",
    ("name", "first_name_kana"): "メイ めい",
    ("last_name", "last_name_kana"): f"{_KANA} セイ せい",
    ("first_name", "first_name_kana"): f"{_KANA} メイ めい",
    ("name_kana", "last_name_kana"): "姓 セイ せい",
    ("name_kana", "first_name_kana"): "名 メイ めい",
    **{(name, name): _OF_WORK for name in ("address", "postal_code", "website", "department", "job_title")},
}
"""What stands in brackets behind a column's name: by the field of the name alone, and by that of both."""
_AS_WRITTEN = (
    "漢字 全角 半角 半角数字 半角英数 半角英数字 ハイフンなし ハイフンあり ハイフン無し ハイフン有り 西暦 yyyymmdd"
)
# What a tag is called goes on in brackets too, and so does what was agreed to.
_NEVER_BRACKETED = frozenset(
    {"event", "memo", "tags", *(name for name in FIELDS if name.startswith(("consent", "opt")))}
)
_BRACKETED = {
    **{(name, word): name for name in FIELDS - _NEVER_BRACKETED for word in _AS_WRITTEN.split()},
    **{(bare, word): name for (bare, name), words in _BEHIND.items() for word in words.split()},
}
_BRACKETS = re.compile(r"[()\[\]【】〔〕<>]")
_NOT_WORD = re.compile(r"[\W_]+")
_POLITE = re.compile(r"(?:必須|任意|入力必須)+$")
_NUMBERED = re.compile(r"(.*\D)(\d{1,2})")


@lru_cache(maxsize=4_096)
def fold_header(text: str) -> str:
    """A column's name in one form: `E-mail`, `Ｅメール（必須）` and `e_mail` lose width, case, signs and 必須."""
    plain = strip_controls(normalize("NFKC", text)).casefold().strip()
    return _word(plain) or plain


def _word(plain: str) -> str:
    return _POLITE.sub("", _NOT_WORD.sub("", plain))


@lru_cache(maxsize=4_096)
def field_of(text: str) -> str | None:
    """What a column is by its name, None if it is none we know. `TEL(代表)` is the phone of the company."""
    return _OURS.get(fold_header(text)) or _bracketed(text)


def _bracketed(text: str) -> str | None:
    name, *more = _BRACKETS.split(_plain(text))
    words = {word for part in more if (word := _word(part.casefold()))}
    return _BRACKETED.get((_OURS.get(fold_header(name), ""), words.pop())) if len(words) == 1 else None


@lru_cache(maxsize=4_096)
def numbered_field(text: str) -> tuple[str, int] | None:
    """The field of a name with a number of one or two digits behind it, and the number; None for another name.

    What it means depends on the names beside it: `メールアドレス2` is a second address, `展示会26` may be anything.
    """
    found = _NUMBERED.fullmatch(fold_header(text))
    name = _OURS.get(found[1]) if found else None
    # One agreement of many may be to anything.
    return (name, int(found[2])) if found and name and not name.startswith("consent") else None


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a list: its place from 0, its name as written, and what it is (None: nothing we know).

    `numbered`: by its name without the number behind it.
    """

    index: int
    name: str
    field: str | None
    numbered: bool = False


def read_header(row: Sequence[str], mapping: Mapping[str, str]) -> tuple[Column, ...]:
    """The columns of a header row. `mapping` (folded name → field) goes before the known names."""
    texts = list(map(_plain, row))
    by_number = _numbered(texts, mapping)
    return tuple(
        Column(
            index, text or f"{NAMELESS}{index + 1}", by_number.get(index) or _field(text, mapping), index in by_number
        )
        for index, text in enumerate(texts)
    )


def _plain(name: str) -> str:
    return one_line(strip_controls(normalize("NFKC", name)))


def _field(text: str, mapping: Mapping[str, str]) -> str | None:
    return (mapping.get(fold_header(text)) or field_of(text)) if text else None


def _numbered(texts: Sequence[str], mapping: Mapping[str, str]) -> dict[int, str]:
    """The fields of names with a number, by their place: where the field stands without one too, or with the 1."""
    found = {
        place: told
        for place, text in enumerate(texts)
        if _field(text, mapping) is None and (told := numbered_field(text)) is not None
    }
    if not found:
        return {}
    begun = {_field(text, mapping) for text in texts} | {name for name, number in found.values() if number == 1}
    return {place: name for place, (name, _) in found.items() if name in begun}


def count_known(row: Sequence[str], mapping: Mapping[str, str]) -> int:
    """How many different fields the cells of a row name."""
    return len({column.field for column in read_header(row, mapping)} - {None})


def most_known(rows: Iterable[Sequence[str]], mapping: Mapping[str, str]) -> int:
    """The most different fields that the cells of one row name."""
    most = 0
    for row in rows:
        # Rows of people have fewer different cells than the header has names; those need no look at each cell.
        if len(set(row) - {""}) > most:
            most = max(most, count_known(row, mapping))
    return most


def find_header(rows: Sequence[Sequence[str]], mapping: Mapping[str, str]) -> int | None:
    """The place of the header among the first rows of a file: the first row that names three fields.

    A list of one or two columns counts too, if its first filled row holds known names alone.
    """
    for place, row in enumerate(rows):
        if count_known(row, mapping) >= MIN_KNOWN:
            return place
    for place, row in enumerate(rows):
        filled = [cell for cell in row if cell.strip()]
        if filled:
            return place if all(column.field for column in read_header(filled, mapping)) else None
    return None
