"""Patterns of the operator `matches`: RE2 on NFKC text, unanchored, ignoring case."""

import string
import unicodedata
from functools import lru_cache
from typing import Protocol

import re2

MAX_PATTERN = 1_000
_OPTIONS = re2.Options()
_OPTIONS.case_sensitive = False
_OPTIONS.log_errors = False
_PUNCTUATION = frozenset(string.punctuation)


class Search(Protocol):
    """Whether a pattern is found anywhere in a text."""

    def __call__(self, text: str, /) -> bool: ...


def compile_pattern(pattern: str) -> Search:
    """Compile once at load. Raises ValueError for what RE2 does not understand or will not hold in memory."""
    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"expected a pattern of at most {MAX_PATTERN} characters")
    try:
        found = re2.compile(normalise_pattern(pattern), _OPTIONS).search
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else error.args[0]
        raise ValueError(f"expected a pattern in RE2 syntax ({reason})") from None
    except UnicodeEncodeError:
        raise ValueError("expected a pattern in RE2 syntax (lone surrogate)") from None

    # Titles, links and pages repeat: a look-up is twenty times cheaper than the search.
    @lru_cache(maxsize=2_048)
    def search(text: str) -> bool:
        return found(text if text.isascii() else unicodedata.normalize("NFKC", text)) is not None

    return search


def normalise_pattern(pattern: str) -> str:
    """NFKC of a pattern in which signs that NFKC turns into ASCII punctuation stay literal.

    A full-width `（` in a pattern means that sign, which the normalised text holds as `(`; it must not open a group.
    """
    if pattern.isascii():
        return pattern
    return unicodedata.normalize("NFKC", "".join(_Reader(pattern).pieces()))


class _Reader:
    """Walks a pattern, knowing whether it stands in a class `[…]` or a quotation `\\Q…\\E`."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0

    def pieces(self) -> list[str]:
        out: list[str] = []
        while self.at < len(self.pattern):
            if self.pattern.startswith("\\Q", self.at):
                out.append(self._quotation())
            elif self.pattern[self.at] == "[":
                out.append(self._class())
            else:
                out.append(self._sign(grouped=True))
        return out

    def _sign(self, *, grouped: bool) -> str:
        """One character, with the backslash before it if there is one."""
        escaped = self.pattern[self.at] == "\\" and self.at + 1 < len(self.pattern)
        self.at += escaped
        sign = self.pattern[self.at]
        self.at += 1
        if sign.isascii():
            return "\\" + sign if escaped else sign
        normal = unicodedata.normalize("NFKC", sign)
        if _PUNCTUATION.isdisjoint(normal):
            literal = normal if len(normal) > 1 else "\\" + sign if escaped and normal.isascii() else sign
        else:
            literal = _escape(normal)
        # A repetition after ㈱ repeats the whole sign, though it has become three characters.
        return f"(?:{literal})" if grouped and len(normal) > 1 else literal

    def _class(self) -> str:
        """A whole `[…]`; a `]` in first place is a member of it."""
        out = [self._take("[")]
        out.append(self._take("^"))
        out.append(self._take("]"))
        while self.at < len(self.pattern) and self.pattern[self.at] != "]":
            if self.pattern.startswith("[:", self.at) and (end := self.pattern.find(":]", self.at)) > 0:
                out.append(self.pattern[self.at : end + 2])
                self.at = end + 2
            else:
                out.append(self._sign(grouped=False))
        out.append(self._take("]"))
        return "".join(out)

    def _take(self, sign: str) -> str:
        if self.pattern.startswith(sign, self.at):
            self.at += 1
            return sign
        return ""

    def _quotation(self) -> str:
        start = self.at + 2
        end = self.pattern.find("\\E", start)
        quoted = self.pattern[start:] if end < 0 else self.pattern[start:end]
        self.at = len(self.pattern) if end < 0 else end + 2
        return _escape(unicodedata.normalize("NFKC", quoted))


def _escape(text: str) -> str:
    return "".join("\\" + sign if sign in _PUNCTUATION else sign for sign in text)
