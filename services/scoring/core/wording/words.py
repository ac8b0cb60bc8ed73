"""The words of both languages for what models are about: activities, fields, bands."""

from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple


class Word(NamedTuple):
    """One thing in English and Japanese."""

    en: str
    ja: str


ACTIVITIES: Mapping[str, Word] = {
    "page_viewed": Word("page view", "ページ閲覧"),
    "form_submitted": Word("form submission", "フォーム送信"),
    "document_requested": Word("document request", "資料請求"),
    "document_downloaded": Word("document download", "資料ダウンロード"),
    "newsletter_subscribed": Word("newsletter subscription", "メールマガジン登録"),
    "email_delivered": Word("mail delivery", "メール到達"),
    "email_opened": Word("mail opening", "メール開封"),
    "email_clicked": Word("click in a mail", "メール内リンクのクリック"),
    "email_replied": Word("reply to a mail", "メール返信"),
    "email_bounced": Word("bounced mail", "メール不達"),
    "email_unsubscribed": Word("unsubscription", "配信停止"),
    "webinar_registered": Word("webinar registration", "ウェビナー申込"),
    "webinar_attended": Word("webinar attendance", "ウェビナー参加"),
    "seminar_registered": Word("seminar registration", "セミナー申込"),
    "seminar_attended": Word("seminar attendance", "セミナー参加"),
    "exhibition_visited": Word("visit to our stand at an exhibition", "展示会ブース来訪"),
    "card_exchanged": Word("exchange of business cards", "名刺交換"),
    "inquiry_sent": Word("inquiry", "問い合わせ"),
    "demo_requested": Word("demo request", "デモ依頼"),
    "quote_requested": Word("quote request", "見積依頼"),
    "trial_started": Word("start of a trial", "トライアル開始"),
    "call_connected": Word("connected call", "架電通話"),
    "call_missed": Word("missed call", "架電不通"),
    "meeting_booked": Word("booked meeting", "商談予約"),
    "meeting_held": Word("meeting held", "商談実施"),
    "order_placed": Word("order", "注文"),
    "ad_lead_submitted": Word("form submitted in an advertisement", "広告フォーム送信"),
    "profile_updated": Word("profile update", "プロフィール更新"),
    "unknown": Word("activity of unknown type", "種別不明の行動"),
}
"""Nouns, so that they can be listed; a type of the user's own is called by its name."""

FIELDS: Mapping[str, Word] = {
    "source": Word("the source", "取得元"),
    "identity.email_domain": Word("the e-mail domain", "メールのドメイン"),
    "score.total": Word("the score", "スコア"),
    "score.engagement": Word("the engagement score", "行動スコア"),
    "score.fit": Word("the fit score", "属性スコア"),
    "grade": Word("the grade", "グレード"),
    "level": Word("the level", "レベル"),
    "stage": Word("the stage", "ステージ"),
    "attributes.name": Word("the name", "氏名"),
    "attributes.company": Word("the company", "会社名"),
    "attributes.job_title": Word("the job title", "役職"),
    "attributes.department": Word("the department", "部署"),
    "attributes.industry": Word("the industry", "業種"),
    "attributes.employees": Word("the number of employees", "従業員数"),
    "attributes.country": Word("the country", "国"),
    "properties.url": Word("the page's address", "ページのURL"),
    "properties.link": Word("the link", "リンク先"),
    "properties.document": Word("the document", "資料名"),
    "properties.event": Word("the event", "イベント名"),
    "properties.form": Word("the form", "フォーム"),
    "properties.campaign": Word("the campaign", "キャンペーン"),
}
"""What a field is called; any other goes by its path."""


def points(cents: int) -> str:
    """`5`, `0.5`, `15`: the amount without its sign."""
    whole, rest = divmod(abs(cents), 100)
    return f"{whole}.{rest:02d}".rstrip("0") if rest else str(whole)


def span_parts(span: timedelta) -> tuple[int, str]:
    """The number and unit (day, hour, minute, second) in which a span reads shortest."""
    for unit, length in (("day", timedelta(days=1)), ("hour", timedelta(hours=1)), ("minute", timedelta(minutes=1))):
        count, rest = divmod(span, length)
        if not rest:
            return count, unit
    return int(span.total_seconds()), "second"
