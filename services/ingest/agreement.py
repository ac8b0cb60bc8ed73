"""Whether what somebody wrote, chose or ticked agrees or refuses, in forms and in lists of cards."""

import re
from functools import lru_cache
from unicodedata import normalize

_YES = frozenset(
    "1 ○ ◯ 〇 ◎ ✓ ✔ ☑ レ y t true on ok checked 可 可能 有 有り あり 済 済み 配信 配信可 登録 登録済 登録済み".split()
)
_NO = frozenset(
    "0 × ✕ ✖ x ☒ ☐ - ー n f ng off none null nil undefined 否 無 無し なし 同意なし 未 不 オプトアウト".split()
)
_REFUSES = re.compile(
    # 希望しません, 受け取らない, 同意なし; 不要です, 未同意; いいえ、…; 配信停止, 拒否する
    r"(?:ない|ません|ないで(?:ください|下さい)?|なくて(?:よい|いい|結構)(?:です)?|なし|無し)$|^(?:いいえ|いや|結構です)"
    r"|不(?:要|可|同意|許可|承諾|承認|希望)|未(?:同意|許可|承諾|承認|登録|購読)"
    r"|拒否|拒絶|辞退|遠慮|断[りるわ]|無用|停止|禁止|解除|退会|撤回|取り?消"
    r"|^(?:no|false|without)\b|\b(?:don'?t|not|never|stop|declined?|refused?|reject(?:ed)?|withdrawn?)\b"
    r"|opt(?:ed)?[-_ ]?out|unsubscri|disagree|denied|\bdeny\b"
)
_AGREES = re.compile(
    r"^はい|同意|承諾|許諾|許可|了承|承認|希望|受け取|受取|購読|オプトイン|配信する|登録する"
    r"|^(?:yes|true)\b|agree|accept|consent|subscri|opt(?:ed)?[-_ ]?in\b|allow|granted|\bi want\b|\bplease\b"
)
_ENDS = re.compile(r"[\s。．.,、，!！?？()（）「」『』【】\[\]\"]+")


_MAX_LENGTH = 1_000


def agreed(text: str) -> bool | None:
    """True or False for what is known to agree or to refuse, in Japanese or English; None for anything else.

    A refusal goes before an agreement in one text: `いいえ、希望しません`, `do not agree`.
    """
    return _agreed(text) if len(text) <= _MAX_LENGTH else None


@lru_cache(maxsize=4_096)
def _agreed(text: str) -> bool | None:
    said = " ".join(_ENDS.sub(" ", normalize("NFKC", text)).casefold().split())
    word = said.replace(" ", "")
    if word in _YES:
        return True
    if word in _NO or _REFUSES.search(said):
        return False
    return True if _AGREES.search(said) else None
