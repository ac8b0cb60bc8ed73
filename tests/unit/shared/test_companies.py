"""Names of companies as they are compared, and domains that name none."""

import pytest

from shared.companies import clean_company, fold_company, is_free_mail


@pytest.mark.parametrize(
    "spelling",
    [
        "株式会社サンプル",
        "株式会社　サンプル",
        "㈱サンプル",
        "(株)サンプル",
        "サンプル（株）",
        "サンプル㈱",
        "ｻﾝﾌﾟﾙ株式会社",
        "サンプル 御中",
        "カ)サンプル",
    ],
)
def test_one_company_by_whatever_form(spelling: str) -> None:
    assert fold_company(spelling) == "サンプル"


@pytest.mark.parametrize(
    "spelling", ["Sample Inc.", "SAMPLE, Inc", "Sample Co., Ltd.", "sample GmbH", "Ｓａｍｐｌｅ　LLC"]
)
def test_forms_abroad(spelling: str) -> None:
    assert fold_company(spelling) == "sample"


def test_what_only_looks_like_a_form_stays() -> None:
    assert fold_company("Costco Wholesale") == "costcowholesale"
    assert fold_company("Incubate Fund") == "incubatefund"
    assert fold_company("株式会社") == "株式会社"
    assert fold_company("有限会社 山田・商店") == fold_company("山田商店(有)")
    assert fold_company("  ") == ""


def test_a_short_form_is_written_out() -> None:
    assert clean_company("㈱サンプル") == "株式会社サンプル"
    assert clean_company("サンプル（有）") == "サンプル有限会社"


@pytest.mark.parametrize(
    "domain", ["gmail.com", "yahoo.co.jp", "outlook.jp", "docomo.ne.jp", "ezweb.ne.jp", "i.softbank.jp", "ocn.ne.jp",
               "t.vodafone.ne.jp", "icloud.com", "nifty.com"]
)  # fmt: skip
def test_anybody_can_have_an_address_there(domain: str) -> None:
    assert is_free_mail(domain)


@pytest.mark.parametrize("domain", ["example.co.jp", "example.com", "nec.com", "softbank.co.jp", "ntt.com"])
def test_a_companys_own_domain_is_none_of_them(domain: str) -> None:
    assert not is_free_mail(domain)
