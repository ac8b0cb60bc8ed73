"""What the fields of a form are called, in Japanese and English, and where they belong if nothing is configured."""

import re
import unicodedata
from functools import lru_cache

from services.ingest.site.config import IGNORE
from services.ingest.sources.people import IDENTIFYING, folded, our_name

_MORE = {
    "message": "message inquiry inquiry_content comment comments お問い合わせ内容 お問合せ内容 問い合わせ内容 "
    "問合せ内容 ご相談内容 相談内容 ご質問 ご要望 本文 内容 備考 自由記入欄",
    "subject": "subject 件名 題名",
}
_MORE_ATTRIBUTES = {
    "name": "担当者 担当者名 担当者氏名 姓名 your_name contact_name",
    "name_kana": "ふりがな フリガナ カナ 氏名カナ 氏名ふりがな 名前カナ name_kana furigana kana",
    "company": "御社名 勤務先 会社名団体名 会社名又は団体名 貴社名団体名 所属企業",
    "department": "所属 所属部署",
    "address": "address 住所 所在地",
    "last_name": "sei family",
    "first_name": "mei given",
}
_MORE_IDENTIFIERS = {
    "email": "eメールアドレス eメール emailアドレス メアド mail_from",
    "phone": "電話 tel番号 連絡先電話番号 携帯番号 日中連絡先",
}
_TARGETS: dict[str, str] = {
    **{alias: f"properties.{ours}" for ours, aliases in _MORE.items() for alias in aliases.split()},
    **{alias: f"attributes.{ours}" for ours, aliases in _MORE_ATTRIBUTES.items() for alias in aliases.split()},
    **{alias: f"lead.{ours}" for ours, aliases in _MORE_IDENTIFIERS.items() for alias in aliases.split()},
}
# What pages send for their own sake, and what must not be kept.
_OWN = re.compile(
    r"(?:_|csrf|xsrf|authenticity_token|g-recaptcha|h-captcha|cf-turnstile|recaptcha|__viewstate|__event|password"
    r"|passwd|パスワード|submit$|送信$|wpcf7|_wpnonce|utf8$|x$|y$)",
    re.IGNORECASE,
)
# Behind what is entered twice: ご用件の確認 and 在庫確認 are fields of their own.
_AGAIN = re.compile(
    r"確認用|[(【\[]\s*再?確認|(?:再|メール|アドレス|mail|address|パスワード|password)の?確認[)\]】]?$|再入力"
    r"|retype|re[-_ ]?enter|(?:mail|address|pass(?:word)?)[-_ ]?confirm"
    r"|confirm[-_ ]?(?:your[-_ ]?)?(?:e?-?mail|address|pass)|^(?:confirm|確認)$",
    re.IGNORECASE,
)
# 【必須】お名前（漢字）※ is お名前.
_NOTES = re.compile(r"[【\[(<＜「『].*?[】\])>＞」』]|[※*＊:：]|必須|任意")
_POLITE = re.compile(r"^(?:your[-_ ]|ご|お|御(?!社))")


@lru_cache(maxsize=4_096)
def usual_target(name: str) -> str:
    """Where a field belongs by its name: `lead.email`, `attributes.company`, `properties.NAME`, or IGNORE.

    A second entry of the same (メールアドレス（確認）), tokens of the page and passwords are ignored.
    """
    written = unicodedata.normalize("NFKC", name).strip()
    if _AGAIN.search(written) or _OWN.match(written):
        return IGNORE
    bare = _NOTES.sub("", written).strip() or written
    plain = _POLITE.sub("", bare)
    for candidate in dict.fromkeys((bare, plain, folded(bare), folded(plain))):
        if found := _TARGETS.get(candidate) or _TARGETS.get(candidate.lower()):
            return found
        if ours := our_name(candidate):
            return f"lead.{ours}" if ours in IDENTIFYING else f"attributes.{ours}"
    return f"properties.{name.strip()}"


@lru_cache(maxsize=4_096)
def same_name(name: str) -> str:
    """The comparison form of a field's name: full-width letters, case, space and a list's `[]` make no difference."""
    return "".join(unicodedata.normalize("NFKC", name).casefold().removesuffix("[]").split())
