"""What counts as agreeing and what as refusing."""

import pytest

from services.ingest.agreement import agreed

REFUSE = (
    "拒否", "×", "不可", "NG", "未同意", "不同意", "なし", "同意なし", "配信停止", "受け取りません", "受け取らない",
    "希望しない", "希望しません", "配信を希望しない", "いいえ", "いいえ、希望しません", "同意しません。",
    "お断りします", "遠慮します", "電話は無用です",
    "お知らせは不要です", "希望いたしません", "ＮＯ", "No thanks", "no", "n", "0", "false", "off", "none", "null", "-",
    "decline", "disagree",
    "I do not agree", "opt-out", "opted out", "unsubscribe", "Don't send", "否", "退会",
)  # fmt: skip
AGREE = (
    "1", "true", "on", "yes", "YES", "Yes, please", "はい", "はい、同意します", "同意", "同意する", "同意します。",
    "同意しました", "希望する", "受け取る", "メールを受け取ります", "購読する", "個人情報の取扱いに同意します", "○",
    "✓", "可", "配信可", "agree", "I agree to the terms", "accepted", "consent", "subscribe", "opt-in", "checked",
    "ｏｎ",
)  # fmt: skip
UNKNOWN = ("", "newsletter", "2026-05-27", "privacy", "7", "プライバシーポリシー", "営業部", "不動産", "notice", "{}")


@pytest.mark.parametrize(
    ("texts", "word"), [(REFUSE, False), (AGREE, True), (UNKNOWN, None)], ids=["refuse", "agree", "unknown"]
)
def test_words_agree_refuse_or_say_neither(texts: tuple[str, ...], word: bool | None) -> None:
    assert {text: agreed(text) for text in texts} == dict.fromkeys(texts, word)
