"""Consent and opt-outs as lists have them: marks, words, or a date."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any
from unicodedata import normalize
from zoneinfo import ZoneInfo

from services.ingest.agreement import agreed
from services.ingest.cards.dates import read_date
from services.ingest.cards.notes import Note
from shared.clock import to_rfc3339

PURPOSES = ("profiling", "email", "phone")
_AGREEMENTS = {
    # 同意 alone does not say to what: its yes is taken for the least, its no for everything.
    "consent": ("profiling",),
    "consent_profiling": ("profiling",),
    "consent_email": ("email",),
    "consent_phone": ("phone",),
}
_REFUSALS = {**_AGREEMENTS, "consent": PURPOSES}
_OPT_OUTS = {"opt_out_email": "email", "opt_out_phone": "phone"}
COLUMNS = frozenset({*_AGREEMENTS, *_OPT_OUTS, "consent_at", "opt_out_at"})
"""Fields that tell of consent."""

# Opt-outs are told in words of two kinds: whether one opted out (○, いいえ), and what became of the mail (停止, 可).
_STOPPED = re.compile(
    r"停止|拒否|拒絶|解除|退会|辞退|禁止|撤回|不可|オプトアウト|^ng$"
    r"|opt(?:ed)?[-_ ]?out|unsubscri|^stop\b|\bdo(?: not|n'?t)\b|never|refused|declined"
)
_NOT_STOPPED = re.compile(
    r"(?:し(?:ない|ません)|して(?:い)?(?:ない|ません)|(?:では|じゃ)(?:ない|ありません)|なし|無し?|不要)$"
    r"|(?:停止|拒否)(?:を|の)?(?:解除|撤回)|^(?:(?:not|no)\b|未)"
)
_WANTED = re.compile(r"可(?:能)?$|^ok$")
_OF_MAIL = re.compile(
    r"配信|受信|受け取|受取|購読|連絡|案内|希望|同意|承諾|許可|許諾|承認|オプトイン"
    r"|subscri|opt(?:ed)?[-_ ]?in|allow|accept|agree|consent"
)
_UNSURE = re.compile(r"希望(?:しない|しません|なし|無し?)")
_NOTHING = frozenset("- ー null nil none undefined".split())
_NOT_SO = _NOTHING | frozenset("0 × ✕ ✖ x ☒ ☐ n f no false off いいえ いや 無 無し なし 未".split())


@dataclass(slots=True)
class Agreed:
    """What a record says: purposes with yes or no, since when, remarks, and what could not be read."""

    words: dict[str, bool] = field(default_factory=dict)
    at: str | None = None
    notes: list[Note] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)
    opted_out: bool = False
    unclear: bool = False
    """Whether it says something that is neither yes nor no."""

    def posted(self, default: Mapping[str, Any] | None, source: str) -> dict[str, Any] | None:
        """The consent of an activity as posted; the list's `default` holds where the record says nothing."""
        if not self.words:
            return dict(default) if default and not self.unclear else None
        consent: dict[str, Any] = {**self.words}
        if self.at:
            consent["at"] = self.at
        consent["source"] = source
        return consent


@lru_cache(maxsize=4_096)
def _word(column: str, text: str, zone: ZoneInfo) -> tuple[bool | None, datetime | None]:
    """Whether the column's name is true of the record, and since when, if the cell says so."""
    if moment := read_date(text, zone):
        return True, moment.at
    return _opted_out(text) if column.startswith("opt_out") else _agreed(text), None


def _agreed(text: str) -> bool | None:
    # In a list these fill a cell of which nothing is known; who writes them into a form refuses.
    return None if _folded(text) in _NOTHING else agreed(text)


def _folded(text: str) -> str:
    return " ".join(normalize("NFKC", text).casefold().split())


def _opted_out(text: str) -> bool | None:
    word = _folded(text)
    if _STOPPED.search(word):
        return _NOT_STOPPED.search(word) is None
    if _WANTED.search(word) or word in _NOT_SO:
        return False
    said = agreed(text)
    if _OF_MAIL.search(word):
        return None if said is None or _UNSURE.fullmatch(word) else not said
    return said or None


def consent_said(column: str, text: str, zone: ZoneInfo) -> str:
    """What a cell of such a column says, however it is written; the text itself where that is not known."""
    if column.endswith("_at"):
        moment = read_date(text, zone)
        return moment.text if moment else " ".join(text.split())
    said, at = _word(column, text, zone)
    if said is None:
        return " ".join(text.split())
    return to_rfc3339(at) if at else "yes" if said else "no"


def read_consent(
    values: Mapping[str, str], names: Mapping[str, str], zone: ZoneInfo, more: Mapping[str, Sequence[str]] | None = None
) -> Agreed:
    """What the consent columns of a record say. `names` are the columns' own names by field; `more` are the cells of
    further columns of a field, of which any may refuse.
    """
    found = Agreed()
    texts = {name: [values[name], *(more or {}).get(name, ())] for name in values if name in COLUMNS}
    for column, purposes in _AGREEMENTS.items():
        words: dict[str, bool] = {}
        for text in texts.get(column, ()):
            said, at = _word(column, text, zone)
            if said is None:
                _unread(found, column, text, names, unclear=True)
                continue
            for purpose in purposes if said else _REFUSALS[column]:
                words[purpose] = said and words.get(purpose, True)
            found.at = to_rfc3339(at) if at else found.at
        found.words |= words
    _opt_outs(found, texts, names, zone)
    _dates(found, values, names, zone)
    if found.words and found.at is None:
        found.notes.append(Note("consent_without_date"))
    return found


def _opt_outs(found: Agreed, texts: Mapping[str, Sequence[str]], names: Mapping[str, str], zone: ZoneInfo) -> None:
    for column, purpose in _OPT_OUTS.items():
        for text in texts.get(column, ()):
            said, at = _word(column, text, zone)
            if said is None:
                _unread(found, column, text, names, unclear=True)
            elif said:
                if found.words.get(purpose):
                    found.notes.append(Note("consent_conflict", (names.get(column, column),)))
                found.words[purpose] = False
                found.opted_out = True
                found.at = to_rfc3339(at) if at else found.at


def _dates(found: Agreed, values: Mapping[str, str], names: Mapping[str, str], zone: ZoneInfo) -> None:
    left = values.get("opt_out_at")
    if left is not None and _opted_out(left) is False:
        left = None
    if left is not None and not any(name in values for name in _OPT_OUTS):
        # A date of leaving is an opt-out, also without a column that says so.
        found.words["email"], found.opted_out = False, True
    for column in ("consent_at", "opt_out_at") if found.opted_out else ("opt_out_at", "consent_at"):
        text = left if column == "opt_out_at" else values.get(column)
        if text is None:
            continue
        moment = read_date(text, zone)
        if moment is None or not found.words:
            _unread(found, column, text, names)
        else:
            found.at = moment.text


def _unread(found: Agreed, column: str, text: str, names: Mapping[str, str], *, unclear: bool = False) -> None:
    name = names.get(column, column)
    found.notes.append(Note("consent_unreadable", (name,)))
    found.unread[name] = f"{found.unread[name]} {text}" if name in found.unread else text
    found.unclear = found.unclear or unclear
