"""Records as activities: whom they name, what is kept, what the operator is told."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.cards.notes import TEXTS, Note
from services.ingest.cards.report import posted_of
from shared.activity import SILENT, parse_posted
from shared.identity import EXTERNAL, MAILBOX, PHONE
from tests.unit.ingest.cards.reading import NOW, Read, one, read

EIGHT = "会社名,部署名,役職,姓,名,e-mail,郵便番号,住所,TEL会社,TEL部門,TEL直通,Fax,携帯電話,URL,名刺交換日,タグA"
FULL = (
    "㈱サンプル", "製造部", "課長", "山田", "太郎", "Taro@Example.co.jp", "1000001", "東京都千代田区\n1-1",
    "０３（１２３４）５６７８", "", "03-1234-5679(内線12)", "03-1234-5670",
    "０９０－１２３４－５６７８", "https://www.example.co.jp", "令和6年5月27日", "1",
)  # fmt: skip
AT = "2024-05-26T15:00:00.000000Z"
SHORT = "会社名,氏名,e-mail,携帯電話,TEL会社"


def kinds(found: Read, record: int = 1) -> list[str]:
    """The kinds of the identifiers of a record's activity, strongest first."""
    activity = found.outcomes[record - 1].activity
    assert activity is not None
    return [identifier.kind for identifier in activity.identifiers]


def test_a_full_card() -> None:
    posted = one(EIGHT, *FULL).posted()
    assert posted["type"] == "card_exchanged"
    assert posted["source"] == "business-cards"
    assert posted["occurred_at"] == "2024-05-26T15:00:00.000000Z"
    assert posted["lead"] == {"email": "taro@example.co.jp", "phone": "+819012345678"}
    assert posted["attributes"] == {
        "name": "山田 太郎",
        "last_name": "山田",
        "first_name": "太郎",
        "company": "株式会社サンプル",
        "department": "製造部",
        "job_title": "課長",
        "postal_code": "100-0001",
        "address": "東京都千代田区 1-1",
        "phone_company": "+81312345678",
        "phone_direct": "+81312345679",
        "phone_direct_extension": "12",
        "fax": "+81312345670",
        "mobile": "+819012345678",
        "website": "https://www.example.co.jp",
    }
    assert posted["properties"] == {"tags": ["タグA"], "consent": "none"}
    assert "consent" not in posted


def test_what_is_reported_is_what_would_be_posted() -> None:
    found = one(EIGHT, *FULL)
    again = parse_posted(found.posted(), id_if_absent="", source_if_absent="", received_at=NOW, region="JP")
    assert again == found.outcomes[0].activity


@pytest.mark.parametrize("silent", [False, True])
@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (("B", "b@example.jp", "", "2026/5/1"), {"occurred_at": "2026-04-30T15:00:00.000000Z"}),
        (("B", "b@example.jp", "", "2036/5/1"), {"occurred_at": "2036-04-30T15:00:00.000000Z"}),
        (("B", "b@example.jp", "○", ""), {"consent": {"email": True, "source": "business-cards"}}),
        (("B", "info@example.jp", "", ""), {"lead": {"email": "info@example.jp"}}),
    ],
)
def test_what_is_reported_of_time_and_consent_is_what_was_said(
    silent: bool, cells: tuple[str, ...], said: dict[str, object]
) -> None:
    found = one("氏名,メール,メール配信同意,名刺交換日", *cells, silent=silent)
    posted, activity = found.posted(), found.outcomes[0].activity
    assert activity is not None
    assert [posted.get(name) for name in ("occurred_at", "consent")] == [said.get("occurred_at"), said.get("consent")]
    assert posted["lead"] == said.get("lead", {"email": "b@example.jp"})
    again = parse_posted(posted, id_if_absent="", source_if_absent="", received_at=NOW, region="JP")
    assert again == replace(activity, flags=tuple(flag for flag in activity.flags if flag != SILENT))


def test_an_event_is_what_once_per_object_asks_for() -> None:
    properties = one(SHORT, "A", "B", "b@example.jp", "", "", event="秋の展示会").posted()["properties"]
    assert (properties["event"], properties["object_key"]) == ("秋の展示会", "秋の展示会")
    row = one("会社名,氏名,メール,展示会名", "A", "B", "b@example.jp", "春の展示会", event="秋の展示会")
    assert row.posted()["properties"]["event"] == "春の展示会"


def test_shared_mailboxes_make_no_identity() -> None:
    found = read(
        f"{SHORT}\nA,山田 太郎,info@example.jp,,\nA,佐藤 花子,info@example.jp,,\nA,鈴木,sales@a.jp,090-1234-5678,\n"
    )
    assert [kinds(found, record) for record in (1, 2, 3)] == [[MAILBOX], [MAILBOX], [PHONE]]
    assert found.outcomes[0].activity != found.outcomes[1].activity
    assert found.posted()["lead"]["email"] == "info@example.jp"
    assert "shared_mailbox" in found.codes()


@pytest.mark.parametrize("address", ["ta?o@example.jp", "ta＊o@example.jp", "？@example.jp"])
def test_unreadable_addresses_identify_nobody(address: str) -> None:
    found = one(SHORT, "A", "山田 太郎", address, "", "")
    assert kinds(found) == [EXTERNAL]
    assert "email" not in found.posted()["lead"]
    assert found.posted()["properties"]["unread"]["e-mail"]
    assert "email_unreadable" in found.codes()
    assert kinds(one(SHORT, "A", "山田 太郎", address, "090-1234-5678", "")) == [PHONE]


def test_a_card_without_mail_and_phone_is_known_by_company_and_name() -> None:
    text = f"{SHORT}\n㈱サンプル,山田　太郎,,,\n株式会社サンプル,山田太郎,,,03-1234-5678\nサンプル２,山田太郎,,,\n"
    found = read(text)
    ids = [found.posted(record)["lead"]["external_ids"]["card"] for record in (1, 2, 3)]
    assert ids[0] == ids[1] != ids[2]
    assert [kinds(found, record) for record in (1, 2, 3)] == [[EXTERNAL]] * 3
    assert "without_contact" in found.codes(1)
    assert "same_person" in found.codes(2)


def test_a_name_that_cannot_tell_who_it_is_stays_alone() -> None:
    found = read(f"{SHORT}\n,山田 太郎,,,\n,山田 太郎,,,03-1234-5678\nA,山?太郎,,,\nA,山?太郎,,,03-1234-5678\n")
    ids = [found.posted(record)["lead"]["external_ids"]["card"] for record in (1, 2, 3, 4)]
    assert len(set(ids)) == 4
    assert "alone" in found.codes(1)


def test_nobody_is_refused_and_empty_rows_are_empty() -> None:
    found = read(f'{SHORT}\nA,,,,03-1234-5678\n,,,,\n\n , ,\u3000,,\n"open,x,,,\nA,B,b@example.jp,,\n')
    assert found.statuses == ["refused", "empty", "empty", "empty", "refused", "accepted"]
    assert found.codes(1) >= {"no_person"}
    assert found.codes(5) == {"open_quote"}
    assert (found.summary.records, found.summary.accepted, found.summary.refused, found.summary.empty) == (6, 1, 2, 3)


def test_company_phones_identify_nobody() -> None:
    found = one(SHORT, "A", "山田", "", "", "090-1234-5678")
    assert kinds(found) == [EXTERNAL]
    assert "phone_of_company" in found.codes()
    extension = one(SHORT, "A", "山田", "", "090-1234-5678 内線3", "")
    assert kinds(extension) == [EXTERNAL]


def test_several_addresses_and_phones_in_a_cell() -> None:
    posted = one(SHORT, "A", "B", "a@example.jp;b@example.jp", "090-1234-5678/080-1234-5678", "").posted()
    assert posted["lead"] == {"email": "a@example.jp", "phone": "+819012345678"}
    assert posted["properties"]["other_emails"] == ["b@example.jp"]
    assert posted["properties"]["other_phones"] == ["+818012345678"]
    two = one("氏名,メール,メール2,メール3", "B", "", "b@example.jp", "c@example.jp").posted()
    assert (two["lead"]["email"], two["properties"]["other_emails"]) == ("b@example.jp", ["c@example.jp"])


@pytest.mark.parametrize("cell", ["=1+1", "@SUM(A1)", "+cmd|' /C calc'!A0", "-サンプル", "|x"])
def test_formulas_stay_text(cell: str) -> None:
    found = one(SHORT, cell, "B", "b@example.jp", "", "")
    assert found.posted()["attributes"]["company"] == cell
    assert "formula" in found.codes()


def test_text_kept_from_spreadsheets_is_unwrapped() -> None:
    found = one(SHORT, "A", "B", "b@example.jp", '="09012345678"', "")
    assert found.posted()["lead"]["phone"] == "+819012345678"
    assert "unwrapped" in found.codes()


def test_duplicates_in_the_list_count_once() -> None:
    found = read(
        f"{SHORT}\nA,B,b@example.jp,,\nA,B,b@example.jp,,\nＡ,B , b@example.jp,,\nA,B,b@example.jp,,03-1234-5678\n"
    )
    assert [outcome.duplicate for outcome in found.outcomes] == [False, True, True, False]
    assert found.texts(2) == ["duplicate: the same as record 1; counts once"]
    assert found.codes(4) == {"same_person"}
    assert len(set(found.ids)) == 2
    assert found.summary.duplicates == 2


def test_broken_widths() -> None:
    found = read(f"{SHORT}\nA,B,b@example.jp\nA,C,c@example.jp,,,,もう一つ\n")
    assert found.statuses == ["accepted", "accepted"]
    assert found.texts(1) == ["fewer_cells: 3 cells instead of 5; the missing ones count as empty"]
    assert found.posted(2)["properties"]["columns"] == {"#7": "もう一つ"}


@pytest.mark.parametrize(
    ("cell", "code", "kept"),
    [
        ("いつか", "date_unreadable", True),
        ("1965/01/01", "date_out_of_range", True),
        ("2030/01/01", "date_ahead", False),
        ("24/5/27", "century_guessed", False),
        ("", "no_date", False),
    ],
)
def test_dates_that_need_a_word(cell: str, code: str, kept: bool) -> None:
    default = datetime(2026, 1, 1, tzinfo=UTC)
    found = one("氏名,メール,名刺交換日", "B", "b@example.jp", cell, occurred_at=default)
    assert code in found.codes()
    assert ("unread" in found.posted()["properties"]) == kept
    if kept or not cell:
        assert found.posted()["occurred_at"] == "2026-01-01T00:00:00.000000Z"


def test_without_any_date_the_time_of_the_import_counts() -> None:
    found = one("氏名,メール", "B", "b@example.jp")
    assert "occurred_at" not in found.posted()
    assert found.outcomes[0].activity is not None
    assert found.outcomes[0].activity.occurred_at == NOW
    assert "no_date_column" in {note.code for note in found.summary.notes}


@pytest.mark.parametrize(
    ("header", "cells", "consent"),
    [
        ("メール配信同意", ("○",), {"email": True}),
        ("メール配信同意,同意日", ("はい", "2024/05/27"), {"email": True, "at": AT}),
        ("同意", ("2024/05/27",), {"profiling": True, "at": AT}),
        ("同意", ("同意しない",), {"profiling": False, "email": False, "phone": False}),
        ("個人情報の取扱いへの同意", ("○",), {"profiling": True}),
        ("個人情報同意", ("同意する",), {"profiling": True}),
        ("個人情報同意,メルマガ", ("同意する", "希望しない"), {"profiling": True, "email": False}),
        ("オプトイン", ("1",), {"email": True}),
        ("メール配信同意,メルマガ", ("○", "×"), {"email": False}),
        ("メール配信同意", ("×",), {"email": False}),
        ("配信停止", ("1",), {"email": False}),
        ("配信停止,オプトアウト日", ("停止", "2024/05/27"), {"email": False, "at": AT}),
        ("電話拒否", ("○",), {"phone": False}),
        ("メール配信同意,配信停止", ("○", "○"), {"email": False}),
        ("電話同意,配信停止", ("可", "拒否"), {"phone": True, "email": False}),
        ("オプトアウト日", ("2024/05/27",), {"email": False, "at": AT}),
        ("同意日", ("2024/05/27",), None),
        ("オプトアウト日", ("なし",), None),
        ("配信停止,メール配信停止", ("0", "1"), {"email": False}),
        ("配信停止", ("2024/05/27",), {"email": False, "at": AT}),
        ("メール配信同意", ("未定",), None),
        ("メール配信同意", ("NULL",), None),
        ("メール配信同意", ("",), None),
    ],
)  # fmt: skip
def test_consent_and_opt_outs(header: str, cells: tuple[str, ...], consent: dict[str, object] | None) -> None:
    found = one(f"氏名,メール,{header}", "B", "b@example.jp", *cells)
    expected = None if consent is None else {**consent, "source": "business-cards"}
    assert found.posted().get("consent") == expected
    assert (found.posted()["properties"].get("consent") == "none") == (consent is None)
    assert found.summary.without_consent == (consent is None)
    assert found.summary.opt_outs == (consent is not None and False in consent.values())


@pytest.mark.parametrize(
    "cell",
    "停止 配信停止 停止中 拒否 受信拒否 解除 退会 不可 配信不可 NG オプトアウト ○ 1 yes はい TRUE 済 レ 配信しない "
    "受け取らない 配信不要 unsubscribed opted-out".split(),
)
def test_words_of_an_opt_out(cell: str) -> None:
    assert one("氏名,メール,配信停止", "B", "b@example.jp", cell).posted()["consent"]["email"] is False


@pytest.mark.parametrize(
    "cell",
    "配信可 可 オプトイン なし × 0 no いいえ FALSE 希望 受け取る 同意する 停止していない 拒否なし 停止解除 OK "
    "subscribed ー 未".split(),
)
@pytest.mark.parametrize("column", ["配信停止", "オプトアウト"])
def test_words_against_an_opt_out(column: str, cell: str) -> None:
    found = one(f"氏名,メール,{column}", "B", "b@example.jp", cell)
    assert "consent" not in found.posted()
    assert (found.codes(), found.summary.opt_outs) == (set(), 0)


@pytest.mark.parametrize("cell", ["未定", "不要", "希望しない", "有効", "営業部"])
def test_an_opt_out_that_says_neither_is_told_and_no_default_stands_in_for_it(cell: str) -> None:
    found = one("氏名,メール,配信停止", "B", "b@example.jp", cell, consent={"email": True, "source": "business-cards"})
    assert (found.codes(), found.posted()["properties"]["unread"]) == ({"consent_unreadable"}, {"配信停止": cell})
    assert "consent" not in found.posted()


def test_a_default_consent_never_overrides_an_opt_out() -> None:
    default = {"email": True, "source": "business-cards"}
    found = read("氏名,メール,配信停止\nA,a@example.jp,\nB,b@example.jp,1\n", consent=default)
    assert found.posted(1)["consent"] == default
    assert found.posted(2)["consent"]["email"] is False


def test_a_record_beyond_the_limit_is_refused_alone() -> None:
    found = read(f"氏名,メール,メモ\nA,a@example.jp,{'あ' * 30_000}\nB,b@example.jp,短い\n")
    assert found.statuses == ["refused", "accepted"]


def test_silence_is_a_flag_of_the_record() -> None:
    found = one("氏名,メール", "B", "b@example.jp", silent=True)
    assert found.outcomes[0].activity is not None
    assert "silent" in found.outcomes[0].activity.flags
    assert found.ids == one("氏名,メール", "B", "b@example.jp").ids


WRITTEN = (
    "㈱サンプル",
    "山田　太郎",
    "Taro@Example.co.jp",
    "060-0001",
    "090-1234-5678",
    "03-1234-5678",
    "2026/05/27",
    "true",
)
AGAIN = "会社名,氏名,e-mail,郵便番号,携帯電話,TEL会社,名刺交換日,メール配信同意"


@pytest.mark.parametrize(
    ("place", "cell"),
    [
        *(
            (6, date)
            for date in ("2026/5/27", "2026-05-27", "２０２６年５月２７日", "5/27/2026", "46169", "2026/5/27 0:00")
        ),
        *((6, date) for date in ("27-May-26", "26/5/27", "令和8年5月27日")),
        *(
            (4, phone)
            for phone in (
                "09012345678",
                "9012345678",
                "０９０－１２３４－５６７８",
                "+81 90-1234-5678",
                "(090)1234-5678",
            )
        ),
        *((5, phone) for phone in ("0312345678", "312345678", "03(1234)5678", "03-1234-5678（代表）")),
        *((2, address) for address in ("taro@example.co.jp", "ＴＡＲＯ＠example.co.jp", "<taro@example.co.jp>")),
        *((3, code) for code in ("0600001", "600001", "〒060-0001", "０６０－０００１")),
        *((1, name) for name in ("山田 太郎", " 山田  太郎 ", "山田\n太郎")),
        (0, "(株)サンプル"),
        *((7, yes) for yes in ("TRUE", "○", "1")),
    ],
)
def test_a_list_that_a_spreadsheet_saved_again_changes_nothing(place: int, cell: str) -> None:
    cells = list(WRITTEN)
    cells[place] = cell
    assert one(AGAIN, *cells).ids == one(AGAIN, *WRITTEN).ids


@pytest.mark.parametrize(
    ("place", "cell"),
    [
        (6, "2026/05/28"), (6, "2026/05/27 10:00"), (6, "いつか"), (6, ""), (4, "090-1234-5679"), (4, "090"),
        (4, "090-1234-5678 内線3"),
        (2, "jiro@example.co.jp"), (2, "taro@example.co.jp;jiro@example.co.jp"), (2, "太郎 <taro@example.co.jp>"),
        (3, "600-0001"), (1, "山田 次郎"), (0, "㈲サンプル"), (7, "×"), (7, "未定"), (7, "2026/05/27"),
    ],
)  # fmt: skip
def test_what_says_something_else_is_another_record(place: int, cell: str) -> None:
    cells = list(WRITTEN)
    cells[place] = cell
    assert one(AGAIN, *cells).ids != one(AGAIN, *WRITTEN).ids


def test_nothing_of_a_record_is_lost() -> None:
    header = "氏名,メール,住所,建物名,血液型,血液型,,同意日"
    found = one(header, "B", "B <b@example.jp>", "東京都1-1", "本社ビル", "A", "B", "名前のない列", "2024/05/27")
    posted = found.posted()
    assert posted["attributes"]["address"] == "東京都1-1 本社ビル"
    assert posted["properties"]["columns"] == {"血液型": "A", "血液型 (6)": "B", "#7": "名前のない列"}
    assert posted["properties"]["unread"] == {"メール": "B", "同意日": "2024/05/27"}
    assert found.codes() == {"email_beside", "consent_unreadable"}


def test_every_note_has_a_text_in_both_languages() -> None:
    for code in TEXTS:
        about = ("a", "b")
        english, japanese = (Note(code, about).text(language) for language in ("en", "ja"))
        assert english.startswith(f"{code}: ")
        assert japanese.startswith(f"{code}: ")


def test_notes_in_japanese() -> None:
    found = one("会社名,氏名,メール", "(株)A", "B 様", "b@example.jp")
    assert [note.text("ja") for note in found.outcomes[0].notes] == [
        "title: B: 敬称を取り除きました",
        "company_form: (株)A: 「株式会社A」と読みました",
    ]


_CELL = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@settings(max_examples=150)
@given(st.lists(st.lists(_CELL, min_size=16, max_size=17), max_size=6))
def test_any_cells_end_in_an_outcome_that_the_service_takes(table: list[list[str]]) -> None:
    quoted = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in table]
    found = read("\n".join([EIGHT, *quoted, ""]))
    assert len(found.outcomes) >= len(table)
    for outcome in found.outcomes:
        if outcome.activity is not None:
            posted = posted_of(outcome.activity)
            again = parse_posted(posted, id_if_absent="", source_if_absent="", received_at=NOW, region="JP")
            assert again == outcome.activity
            assert "\x00" not in str(posted)
        else:
            assert outcome.notes
