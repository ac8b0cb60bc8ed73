"""From fields to an activity."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.ingest.site.config import Form
from services.ingest.site.submission import FILLED_FAST, FormReader, Submission
from tests.unit.ingest.conftest import NOW
from tests.unit.ingest.site.desk import FORM, FULL, SITE, USUAL

STARTED = str(int((NOW - timedelta(seconds=30)).timestamp() * 1000))


def read(fields: dict[str, Any], form: Form = FORM, referer: str = "", **shift: float) -> Submission:
    pairs = [(name, one) for name, value in fields.items() for one in (value if isinstance(value, list) else [value])]
    return FormReader(form).read(pairs, referer, NOW + timedelta(**shift))


def test_fields_go_where_the_configuration_says() -> None:
    fields = {**FULL, "電話": "090-1234-5678", "部署": "製造部", "社内メモ": "x", "会員番号": "77", "選択": ["A", "B"]}
    activity = read(fields).activity
    assert activity["type"] == "inquiry_sent"
    assert activity["lead"] == {
        "email": "taro.yamada@example.co.jp",
        "phone": "090-1234-5678",
        "external_ids": {"members": "77"},
    }
    assert activity["attributes"] == {"name": "山田 太郎", "company": "株式会社サンプル"}
    assert activity["properties"] == {
        "message": "価格を教えてください",
        "部署": "製造部",
        "選択": ["A", "B"],
        "form": "contact-ja",
    }


def test_names_are_compared_without_width_and_space() -> None:
    assert read({" メールアドレス ": "a@example.co.jp"}).activity["lead"]["email"] == "a@example.co.jp"


def test_without_fields_the_usual_names_are_understood() -> None:
    activity = read({"姓": "山田", "名": "太郎", "Email": "a@example.co.jp", "導入時期": "来月"}, USUAL).activity
    assert activity["attributes"] == {"last_name": "山田", "first_name": "太郎", "name": "山田 太郎"}
    assert activity["properties"] == {"導入時期": "来月", "form": "usual", "document": "price-list"}
    foreign = read({"first_name": "Ada", "last_name": "Lovelace", "email": "a@example.com"}, USUAL).activity
    assert foreign["attributes"]["name"] == "Ada Lovelace"


def test_the_browser_and_its_page_come_along() -> None:
    page = f"{SITE}/contact?utm_campaign=autumn&utm_source=mail&secret=1"
    activity = read({**FULL, "kizashi_id": "b-1", "kizashi_page": page}).activity
    assert activity["lead"]["anonymous_id"] == "b-1"
    about = {"url": f"{SITE}/contact", "campaign": "autumn", "utm_campaign": "autumn", "utm_source": "mail"}
    assert about.items() <= activity["properties"].items()
    assert "secret" not in str(activity)
    named = read({**FULL, "kizashi_page": "https://user:word@www.example.co.jp/a"}).activity["properties"]["url"]
    assert named == f"{SITE}/a"
    assert read({**FULL, "anonymous_id": "b-2"}, referer=f"{SITE}/c?x=1").activity["properties"]["url"] == f"{SITE}/c"


def test_consent_is_kept_with_its_proof() -> None:
    consent = read({**FULL, "同意": "on", "メルマガ": "希望しない"}).activity["consent"]
    assert consent == {
        "profiling": True,
        "email": False,
        "at": "2026-11-24T03:00:00.000000Z",
        "source": "form contact-ja",
        "text": "個人情報の取扱いに同意します / メルマガ",
    }
    assert "consent" not in read(FULL).activity, "a box that is not ticked sends nothing and withdraws nothing"


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("on", True),
        (True, True),
        ("メルマガ", True),
        (["0", "1"], True),
        (["true", "false"], True),
        ("拒否", False),
        (False, False),
        (0, False),
        ("newsletter", None),
    ],
)
def test_words_of_consent(said: object, means: bool | None) -> None:
    submission = read({**FULL, "メルマガ": said, "kizashi_test": "1"})
    assert submission.activity.get("consent", {}).get("email") is means
    unclear = [note for note in submission.notes if "neither yes nor no" in note]
    assert bool(unclear) is (means is None)
    assert submission.activity["properties"].get("メルマガ") == (said if means is None else None)


def test_where_two_fields_ask_for_one_purpose_both_must_agree() -> None:
    form = replace(FORM, fields={"メール": "lead.email", "同意A": "consent.email", "同意B": "consent.email"})
    for one, other, means in (("はい", "はい", True), ("はい", "いいえ", False), ("はい", "?", None)):
        fields = {"メール": "a@example.co.jp", "同意A": one, "同意B": other}
        assert read(fields, form).activity.get("consent", {}).get("email") is means


def test_the_text_of_consent_is_about_profiling_or_all_that_a_form_asks_for() -> None:
    only_mail = replace(FORM, fields={"メール": "lead.email", "案内": "consent.email"})
    consent = read({"メール": "a@example.co.jp", "案内": "on"}, only_mail).activity["consent"]
    assert consent["text"] == FORM.consent_text
    assert read({**FULL, "メルマガ": "on"}).activity["consent"]["text"] == "メルマガ"


def test_a_double_click_is_one_and_a_corrected_form_another() -> None:
    first = read({**FULL, "kizashi_submission": "s-1", "kizashi_started": STARTED}).activity["id"]
    again = read({**FULL, "kizashi_submission": "s-1", "kizashi_started": "1", "kizashi_id": "b"}, seconds=1)
    corrected = read({**FULL, "メールアドレス": "t@example.co.jp", "kizashi_submission": "s-1"})
    loaded_again = read({**FULL, "kizashi_submission": "s-2"})
    assert again.activity["id"] == first
    assert len({first, corrected.activity["id"], loaded_again.activity["id"]}) == 3


def test_without_a_script_the_same_content_counts_once_a_day() -> None:
    first = read(FULL).activity["id"]
    assert read(FULL, hours=1).activity["id"] == first
    assert read(FULL, days=1).activity["id"] != first
    assert read({**FULL, "ご相談内容": "別の相談"}).activity["id"] != first
    assert read({**FULL, "kizashi_id": "made anew for each page"}).activity["id"] == first


def test_where_nothing_tells_who_sends_it_the_browser_does() -> None:
    one, other = ({"ご相談内容": "価格表", "kizashi_id": browser} for browser in ("b-1", "b-2"))
    assert read(one).activity["id"] == read(one, hours=1).activity["id"]
    assert read(one).activity["id"] != read(other).activity["id"]


def test_programs_give_themselves_away() -> None:
    assert read({**FULL, "kizashi_website": "http://spam.example"}).honeypot
    assert not read({**FULL, "kizashi_website": " "}).honeypot
    quick = str(int(NOW.timestamp() * 1000) - 500)
    assert read({**FULL, "kizashi_started": quick}).flags == (FILLED_FAST,)
    ahead = str(int(NOW.timestamp() * 1000) + 60_000)
    for fine in (ahead, STARTED, "", "yesterday", "-5", "1", "9" * 17, "9" * 16):
        assert read({**FULL, "kizashi_started": fine}).flags == (), fine


def test_what_cannot_be_read_is_kept_where_another_name_is_at_hand() -> None:
    activity = read({**FULL, "メールアドレス": "taro at example", "kizashi_id": "b"}).activity
    assert activity["lead"] == {"anonymous_id": "b"}
    assert activity["properties"]["メールアドレス"] == "taro at example"
    alone = read({**FULL, "メールアドレス": "taro at example"}).activity
    assert alone["lead"] == {"email": "taro at example"}, "refused later, with the field's name"
    desk = read({**FULL, "メールアドレス": "taro at example", "電話": "03-1234-5678"}).activity
    assert desk["lead"] == {"email": "taro at example", "phone": "03-1234-5678"}, "a desk names nobody"
    mobile = read({**FULL, "メールアドレス": "taro at example", "電話": "090-1234-5678"}).activity
    assert mobile["lead"] == {"phone": "090-1234-5678"}
    assert read({**FULL, "電話": "12"}).activity["properties"]["電話"] == "12"


def test_a_test_says_what_it_would_do() -> None:
    submission = read({"お名前": "x", "kizashi_test": "1"})
    assert submission.test
    assert any("lead.email" in note for note in submission.notes)
    assert any("kizashi_submission" in note for note in submission.notes)
    assert read(FULL).notes == []
