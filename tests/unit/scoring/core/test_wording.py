"""Models as sentences: every kind of rule says what it does, in both languages."""

from typing import Any

import pytest
from hypothesis import given

from services.scoring.core.loader import load_model, model_from
from services.scoring.core.wording import Language, explain_model
from tests.properties import few
from tests.unit.scoring.core import strategies
from tests.unit.scoring.core.test_worked_examples import STANDARD


def sentence(rule: dict[str, Any], lang: Language) -> str:
    model = model_from(
        {
            "model": "m",
            "engagement": {
                "groups": {"web": {"max": 15}},
                "rules": [{"id": "r", "activity": "page_viewed"} | rule],
            },
        }
    )
    return explain_model(model, lang)[0].text


@pytest.mark.parametrize(
    ("rule", "en", "ja"),
    [
        ({"points": 5}, "Each page view gives 5 points, once for the same thing.",
         "「ページ閲覧」1件につき5点加点します（同じ対象は1回だけ）。"),
        ({"points": 1, "repeat": "every"}, "Each page view gives 1 point, every time.",
         "「ページ閲覧」1件につき1点加点します（毎回）。"),
        ({"points": -0.5, "repeat": "once"}, "Each page view takes 0.5 points, once per lead.",
         "「ページ閲覧」1件につき0.5点減点します（リードごとに1回だけ）。"),
        ({"points": 2, "repeat": {"once_per": "1d"}}, "Each page view gives 2 points, at most once in 1 day.",
         "「ページ閲覧」1件につき2点加点します（1日間に1回まで）。"),
        ({"points": 2, "repeat": {"max": 3, "per": "12h"}, "group": "web"},
         "Each page view gives 2 points, at most 3 times in 12 hours (group “web”).",
         "「ページ閲覧」1件につき2点加点します（12時間に3回まで）（グループ「web」）。"),
        ({"points": 2, "repeat": "every", "decay": {"window": "30d"}},
         "Each page view gives 2 points, every time, in full for 30 days and then no longer.",
         "「ページ閲覧」1件につき2点加点します（毎回）。点数は30日間だけ有効で、その後は0点になります。"),
        ({"points": 2, "repeat": "every", "decay": {"half_life": "60d"}},
         "Each page view gives 2 points, every time, halving every 60 days.",
         "「ページ閲覧」1件につき2点加点します（毎回）。点数は60日ごとに半分になります。"),
        ({"points": 2, "repeat": "every", "decay": {"step": "25%", "every": "1mo"}},
         "Each page view gives 2 points, every time, losing 25% of its first value every month.",
         "「ページ閲覧」1件につき2点加点します（毎回）。点数は1か月ごとに当初の点数の25%ずつ減ります。"),
        ({"points": 2, "repeat": "every", "decay": {"step": "12.5%", "every": "7d", "curve": "compound"}},
         "Each page view gives 2 points, every time, losing 12.5% of what is left every 7 days.",
         "「ページ閲覧」1件につき2点加点します（毎回）。点数は7日ごとに残りの点数の12.5%ずつ減ります。"),
        ({"points": 2, "repeat": "every", "min": -3, "max": 8},
         "Each page view gives 2 points, every time; this rule alone is at least −3 points and at most 8 points.",
         "「ページ閲覧」1件につき2点加点します（毎回）。このルール単独では下限−3点・上限8点です。"),
        ({"cells": [{"at_least": 5, "within": "7d", "points": 10}, {"at_least": 2, "within": "14d", "points": -5}]},
         ("Counting every page view: +10 points while there are at least 5 of them within 7 days, else −5 points while"
         " there are at least 2 of them within 14 days."),
         "「ページ閲覧」が直近7日間に5件以上あれば+10点、そうでなければ直近14日間に2件以上あれば−5点とします。"),
        ({"activity": ["page_viewed", "feature_used"], "points": 1, "repeat": "every",
          "all": [{"field": "properties.url", "contains": "/pricing"}, {"field": "attributes.x", "gte": 2}],
          "none": [{"field": "source", "in": ["a", "b"]}]},
          ("Each page view or feature_used for which the page's address contains “/pricing” and attributes.x is 2 or"
          " more and it is not so that the source is one of “a” or “b” gives 1 point, every time."),
         ("ページのURLに「/pricing」を含む、かつattributes.xが2以上である、かつ（取得元が「a」、「b」のいずれかである）"
         "に当てはまらない「ページ閲覧」または「feature_used」1件につき1点加点します（毎回）。")),
        ({"activity": "*", "points": 1, "repeat": "every"}, "Each activity of any type gives 1 point, every time.",
         "すべての行動1件につき1点加点します（毎回）。"),
    ],
)  # fmt: skip
def test_every_kind_of_rule_has_its_sentence(rule: dict[str, Any], en: str, ja: str) -> None:
    assert (sentence(rule, "en"), sentence(rule, "ja")) == (en, ja)


def test_the_rest_of_a_model_is_said_too() -> None:
    model = load_model(STANDARD)
    english = {(one.section, one.id): one.text for one in explain_model(model, "en")}
    japanese = {(one.section, one.id): one.text for one in explain_model(model, "ja")}
    assert english.keys() == japanese.keys()
    assert english["fit", "target-industry"] == "A lead gets 10 points if the industry is one of “製造業” or “建設業”."
    assert japanese["fit", "target-industry"] == "業種が「製造業」、「建設業」のいずれかであるリードに10点加点します。"
    assert english["engagement", "cap:engagement"] == (
        "The engagement score as a whole is at least 0 points and at most 100 points."
    )
    assert japanese["bands", "level"] == (
        "レベルは行動スコアで決まります：75点以上が1、50点以上が2、25点以上が3、それ未満は4。"
    )
    assert japanese["stages", "research"].startswith("「資料ダウンロード」がある、または直近30日間に")
    assert english["exclude", ""] == "A lead is not scored at all if the e-mail domain is “own.example”."


def test_inactivity_and_signals() -> None:
    model = model_from(
        {
            "model": "m",
            "engagement": {"inactivity": {"every": "30d", "points": -5, "floor": 1}},
            "signals": [{"id": "price", "activity": "email_clicked"}],
        }
    )
    english = {one.id: one.text for one in explain_model(model, "en")}
    japanese = {one.id: one.text for one in explain_model(model, "ja")}
    assert "For every 30 days" in english["inactivity"]
    assert english["inactivity"].endswith("5 points are taken off, down to 1 point.")
    assert "30日続くごとに5点減点します（ただし1点より下には減らしません）" in japanese["inactivity"]
    assert english["price"] == "Each click in a mail is announced at once as “price”."
    assert japanese["price"] == "「メール内リンクのクリック」があれば、シグナル「price」としてすぐに知らせます。"


@few(50)
@given(strategies.models())
def test_every_rule_of_any_model_is_said_once(tree: dict[str, Any]) -> None:
    model = model_from(tree)
    wanted = [rule.id for rule in (*model.engagement.rules, *model.fit.rules)]
    for lang in ("en", "ja"):
        said = [one.id for one in explain_model(model, lang)]
        assert [name for name in said if name in wanted] == wanted


def test_accounts_are_told_where_a_model_names_them() -> None:
    plain = {"model": "m", "engagement": {"rules": []}}
    assert all(one.section != "accounts" for one in explain_model(model_from(plain), "en"))
    named = model_from({**plain, "accounts": {"score": "average", "by": ["domain", "name"], "active_within": "30d"}})
    assert explain_model(named, "en")[-1].text == (
        "Leads belong to an account by the domain of their addresses, else by the company's name; its score is the"
        " average of its contacts active within 30 days."
    )
    assert explain_model(named, "ja")[-1].text == (
        "リードのアカウント（会社）はメールアドレスのドメイン、なければ会社名で決まります。"
        "アカウントのスコアは、直近30日間に行動した人の平均です。"
    )


@pytest.mark.parametrize(
    ("section", "en", "ja"),
    [
        ({"recycle": "keep"}, "When sales sends a lead back, it keeps the points of everything it did before.",
         "営業から差し戻されたリードでは、それより前の行動の点数もそのまま残ります。"),
        ({"recycle": "reset"}, "When sales sends a lead back, what it did before gives no points any more.",
         "営業から差し戻されたリードでは、それより前の行動の点数は0点になります。"),
        ({"recycle": {"factor": 0.25}},
         "When sales sends a lead back, what it did before gives 25% of its points from then on.",
         "営業から差し戻されたリードでは、それより前の行動の点数は、差し戻し以降25%になります。"),
        ({"consent": {"profiling": "required"}},
         "Activities count only while the lead agrees to profiling; others are stored, but give nothing.",
         "リードがプロファイリングに同意している間の行動だけを採点します。それ以外の行動は保存しますが採点しません。"),
        ({"consent": {"profiling": "required", "without": "drop"}},
         "Activities count only while the lead agrees to profiling; others are not kept.",
         "リードがプロファイリングに同意している間の行動だけを採点します。それ以外の行動は保存しません。"),
        ({"consent": {"profiling": "optional"}},
         "Activities count whether or not the lead has agreed to profiling.",
         "プロファイリングへの同意の有無にかかわらず、行動を採点します。"),
    ],
)  # fmt: skip
def test_recycling_and_consent_are_said_where_a_model_names_them(section: dict[str, Any], en: str, ja: str) -> None:
    model, (name,) = model_from({"model": "m", **section}), section
    told: tuple[tuple[Language, str], ...] = (("en", en), ("ja", ja))
    for lang, wanted in told:
        assert [one.text for one in explain_model(model, lang) if one.section == name] == [wanted]
        assert name not in {one.section for one in explain_model(model_from({"model": "m"}), lang)}
