"""Names of people and companies as they stand on cards."""

import re
from functools import lru_cache

from shared import companies

# A title after a name. Some of these characters end real names (鵜殿, 三様), so a name keeps two characters.
_TITLE = re.compile(r"(?<=\S)(?:\s+(?:様|殿|氏|さん|先生|御中|各位|さま)|(?<=\S\S)(?:様|殿|先生|御中|さま))$")
_TITLE_EN = re.compile(r"^(?:Mr|Mrs|Ms|Dr|Prof)\.?\s+(?=\S)", re.IGNORECASE)
HONOURED = re.compile(r"[様殿氏]|さん|さま|先生|御中|各位|\b(?:mr|mrs|ms|dr|prof)\b", re.IGNORECASE)
"""Where nothing of it is found in a name, there is no title to be taken off."""
_SPACE = re.compile(r"\s+")


@lru_cache(maxsize=4_096)
def clean_name(text: str) -> tuple[str, bool]:
    """A person's name with single spaces and without titles (様, 殿, Mr.), and whether one was taken off."""
    name = _SPACE.sub(" ", text).strip()
    if not HONOURED.search(name):
        return name, False
    bare = _TITLE_EN.sub("", _TITLE.sub("", name)).strip()
    return bare, bare != name


@lru_cache(maxsize=4_096)
def clean_company(text: str) -> tuple[str, bool]:
    """A company's name with its legal form written out (㈱ → 株式会社), and whether it was changed.

    Takes text after NFKC.
    """
    name = _SPACE.sub(" ", text).strip()
    full = companies.clean_company(name)
    return full, full != name
