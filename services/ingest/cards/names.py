"""Names of people and companies as they stand on cards."""

import re
from functools import lru_cache
from unicodedata import normalize

from shared.identity import fold_name

# A title after a name. Some of these characters end real names (鵜殿, 三様), so a name keeps two characters.
_TITLE = re.compile(r"(?<=\S)(?:\s+(?:様|殿|氏|さん|先生|御中|各位|さま)|(?<=\S\S)(?:様|殿|先生|御中|さま))$")
_TITLE_EN = re.compile(r"^(?:Mr|Mrs|Ms|Dr|Prof)\.?\s+(?=\S)", re.IGNORECASE)
_HONOURED = re.compile(r"[様殿氏]|さん|さま|先生|御中|各位|\b(?:mr|mrs|ms|dr|prof)\b", re.IGNORECASE)
_SPACE = re.compile(r"\s+")

# NFKC has turned ㈱ into (株) already.
_SHORT_FORMS = {
    "株": "株式会社",
    "有": "有限会社",
    "合": "合同会社",
    "同": "合同会社",
    "資": "合資会社",
    "名": "合名会社",
    "財": "財団法人",
    "社": "社団法人",
    "一社": "一般社団法人",
    "一財": "一般財団法人",
    "公社": "公益社団法人",
    "公財": "公益財団法人",
    "医": "医療法人",
    "学": "学校法人",
    "宗": "宗教法人",
    "福": "社会福祉法人",
    "独": "独立行政法人",
    "特非": "特定非営利活動法人",
}
_SHORT = re.compile(r"\s*[(\[]\s*(" + "|".join(sorted(_SHORT_FORMS, key=len, reverse=True)) + r")\s*[)\]]\s*")
_KABU = re.compile(r"^(?:カ\)|カ[)]|\(カ\))|(?:\(カ|\(カ\))$")
_ADDRESSED = re.compile(r"\s*御中$")
_FORMS = re.compile(
    "|".join(sorted({*_SHORT_FORMS.values(), "株式會社", "NPO法人"}, key=len, reverse=True))
    + r"|\b(?:inc|corp|corporation|co|ltd|limited|llc|k\.k|kk|gmbh|plc|s\.a|ag|pte|company)\b\.?",
    re.IGNORECASE,
)
_SIGNS = re.compile(r"[\s.,・·&＆'’\-‐]+")


@lru_cache(maxsize=65_536)
def clean_name(text: str) -> tuple[str, bool]:
    """A person's name with single spaces and without titles (様, 殿, Mr.), and whether one was taken off."""
    name = _SPACE.sub(" ", text).strip()
    if not _HONOURED.search(name):
        return name, False
    bare = _TITLE_EN.sub("", _TITLE.sub("", name)).strip()
    return bare, bare != name


@lru_cache(maxsize=65_536)
def clean_company(text: str) -> tuple[str, bool]:
    """A company's name with its legal form written out (㈱ → 株式会社), and whether it was changed.

    Takes text after NFKC.
    """
    name = _SPACE.sub(" ", text).strip()
    full = _ADDRESSED.sub("", name)
    full = _KABU.sub("株式会社", full) if "カ" in full else full
    full = _SHORT.sub(lambda found: _SHORT_FORMS[found[1]], full).strip()
    return full, full != name


@lru_cache(maxsize=65_536)
def fold_company(text: str) -> str:
    """A company's comparison form: no legal form, width, case, space or dots."""
    folded = normalize("NFKC", clean_company(normalize("NFKC", text))[0]).casefold()
    bare = _SIGNS.sub("", _FORMS.sub(" ", folded))
    return bare or fold_name(folded)
