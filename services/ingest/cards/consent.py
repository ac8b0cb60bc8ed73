"""Consent and opt-outs as lists have them: marks, words, or a date."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from services.ingest.cards.dates import read_date
from services.ingest.cards.notes import Note
from shared.clock import to_rfc3339

PURPOSES = ("profiling", "email", "phone")
COLUMNS = frozenset("consent consent_email consent_phone consent_at opt_out_email opt_out_phone opt_out_at".split())
"""Fields that tell of consent."""
_YES = frozenset(
    "1 ○ ◯ 〇 ◎ ✓ ✔ ☑ レ y yes true on ok 可 はい 有 有り あり 同意 同意する 同意します 同意済 同意済み 希望 希望する "
    "許可 許可する 承諾 済 配信 配信可 配信する 登録 オプトイン optin".split()
)
_NO = frozenset(
    "0 × ✕ ✖ x ☒ ☐ n no false off ng 不可 いいえ 無 無し なし 不同意 同意しない 同意なし 未同意 希望しない 不要 拒否 "
    "拒否する 禁止 停止 配信停止 配信不可 配信しない 解除 退会 オプトアウト optout unsubscribed".split()
)
_COLUMNS = {
    "consent": ("profiling", "email", "phone"),
    "consent_email": ("email",),
    "consent_phone": ("phone",),
}
_OPT_OUTS = {"opt_out_email": "email", "opt_out_phone": "phone"}


@dataclass(slots=True)
class Agreed:
    """What a record says: purposes with yes or no, since when, remarks, and what could not be read."""

    words: dict[str, bool] = field(default_factory=dict)
    at: str | None = None
    notes: list[Note] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)
    opted_out: bool = False

    def posted(self, default: Mapping[str, Any] | None, source: str) -> dict[str, Any] | None:
        """The consent of an activity as posted; the list's `default` holds where the record says nothing."""
        if not self.words:
            return dict(default) if default else None
        consent: dict[str, Any] = {**self.words}
        if self.at:
            consent["at"] = self.at
        consent["source"] = source
        return consent


@lru_cache(maxsize=4_096)
def _word(text: str, zone: ZoneInfo) -> tuple[bool | None, datetime | None]:
    folded = "".join(text.split()).casefold()
    if folded in _YES:
        return True, None
    if folded in _NO:
        return False, None
    moment = read_date(text, zone)
    return (True, moment.at) if moment else (None, None)


def read_consent(values: Mapping[str, str], names: Mapping[str, str], zone: ZoneInfo) -> Agreed:
    """What the consent columns of a record say. `names` are the columns' own names by field."""
    agreed = Agreed()
    for column, purposes in _COLUMNS.items():
        if column in values:
            said, at = _word(values[column], zone)
            if said is None:
                _unread(agreed, column, values, names)
                continue
            agreed.words.update(dict.fromkeys(purposes, said))
            agreed.at = to_rfc3339(at) if at else agreed.at
    _opt_outs(agreed, values, names, zone)
    for column in ("consent_at", "opt_out_at") if agreed.opted_out else ("opt_out_at", "consent_at"):
        if column == "opt_out_at" and column in values and not any(name in values for name in _OPT_OUTS):
            # A date of leaving is an opt-out, also without a column that says so.
            agreed.words["email"], agreed.opted_out = False, True
        if column in values:
            moment = read_date(values[column], zone)
            if moment is None or not agreed.words:
                _unread(agreed, column, values, names)
            else:
                agreed.at = to_rfc3339(moment.at)
    if agreed.words and agreed.at is None:
        agreed.notes.append(Note("consent_without_date"))
    return agreed


def _opt_outs(agreed: Agreed, values: Mapping[str, str], names: Mapping[str, str], zone: ZoneInfo) -> None:
    for column, purpose in _OPT_OUTS.items():
        if column not in values:
            continue
        said, at = _word(values[column], zone)
        # 拒否, 停止 and 不可 in a column of that name mean that it is so.
        refused = values[column] in ("拒否", "停止", "不可", "禁止", "配信停止", "オプトアウト", "解除", "退会") or said
        if said is None:
            _unread(agreed, column, values, names)
        elif refused:
            if agreed.words.get(purpose):
                agreed.notes.append(Note("consent_conflict", (names.get(column, column),)))
            agreed.words[purpose] = False
            agreed.opted_out = True
            agreed.at = to_rfc3339(at) if at else agreed.at


def _unread(agreed: Agreed, column: str, values: Mapping[str, str], names: Mapping[str, str]) -> None:
    name = names.get(column, column)
    agreed.notes.append(Note("consent_unreadable", (name,)))
    agreed.unread[name] = values[column]
