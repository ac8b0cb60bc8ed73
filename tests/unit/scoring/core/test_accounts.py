"""Which account a lead belongs to, and what its people's scores make together."""

from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scoring.core.accounts import (
    BY_DOMAIN,
    BY_ID,
    BY_NAME,
    Contact,
    account_key,
    account_score,
    cause_of,
    describe,
    next_inactive,
)
from services.scoring.core.profile import Profile
from services.scoring.core.rules import Accounts
from shared.documents import read_document
from shared.identity import EMAIL, Identifier
from tests.properties import few
from tests.unit.scoring.core.builders import DAY, NOON, compiled

RULES = Accounts.model_validate({})


def profile(email: str | None = None, **attributes: Any) -> Profile:
    return Profile(identifiers=[Identifier(EMAIL, email)] if email else [], email=email, attributes=attributes)


def contact(
    lead_id: str, score: int | None, *, days: float | None = 1, name: str | None = None, **more: Any
) -> Contact:
    active = None if days is None else NOON - timedelta(days=days)
    given: dict[str, Any] = {
        "key": Identifier(BY_DOMAIN, "example.co.jp"),
        "domain": "example.co.jp",
        "cause": "activity",
    }
    return Contact(lead_id, name=name, scores={"m": score}, active_at=active, evaluated_at=NOON, **{**given, **more})


@pytest.mark.parametrize(
    ("lead", "key"),
    [
        (profile("taro@example.co.jp", company="㈱サンプル"), (BY_DOMAIN, "example.co.jp")),
        (profile("taro@example.co.jp", account_id="A-17"), (BY_ID, "A-17")),
        (profile("taro@example.co.jp", account_id=17), (BY_ID, "17")),
        (profile("taro@example.co.jp", account_id=True), (BY_DOMAIN, "example.co.jp")),
        (profile("info@example.co.jp"), (BY_DOMAIN, "example.co.jp")),
        (profile("taro@gmail.com", company="㈱サンプル"), (BY_NAME, "サンプル")),
        (profile("taro@docomo.ne.jp", company="サンプル株式会社"), (BY_NAME, "サンプル")),
        (profile(None, company="Sample Inc."), (BY_NAME, "sample")),
        (profile("taro@gmail.com"), None),
        (profile(None), None),
        (profile(None, company=["no", "text"]), None),
    ],
)
def test_what_names_an_account(lead: Profile, key: tuple[str, str] | None) -> None:
    assert account_key(lead, RULES) == key


def test_the_model_says_what_accounts_go_by() -> None:
    rules = Accounts.model_validate({"by": ["domain"], "ignore_domains": ["@Agency.example"]})
    assert account_key(profile(None, company="サンプル"), rules) is None
    assert account_key(profile("a@agency.example"), rules) is None
    assert account_key(profile("a@example.co.jp", account_id="A-17"), rules) == (BY_DOMAIN, "example.co.jp")


def test_damped_is_the_best_five_each_half_of_the_one_before() -> None:
    people = [contact(f"l{n}", cents) for n, cents in enumerate([1000, 5000, 4000, 800, 1600, 3000])]
    got = account_score(people, "m", RULES, NOON)
    assert got.scores == {"damped": 5000 + 2000 + 750 + 200 + 62, "max": 5000, "average": 2567, "sum": 15400}
    assert got.score == got.scores["damped"]
    assert [lead_id for lead_id, _ in got.top] == ["l1", "l2", "l5", "l4", "l0"]


def test_the_average_is_of_the_active_and_the_excluded_count_nowhere() -> None:
    people = [contact("a", 4000), contact("b", 1000, days=90), contact("c", 2001, days=89), contact("d", None)]
    rules = Accounts.model_validate({"score": "average"})
    got = account_score(people, "m", rules, NOON)
    assert (got.score, got.active_contacts, got.scores["sum"]) == (3000, 2, 7001)
    assert account_score([contact("d", None)], "m", rules, NOON).score is None
    assert account_score([contact("e", 500, days=None)], "m", rules, NOON).score == 0


@few(100)
@given(st.lists(st.integers(-100_000, 100_000), min_size=1, max_size=12), st.randoms())
def test_damping_is_exact_whatever_the_order(cents: list[int], shuffle: Any) -> None:
    people = [contact(f"l{n:02d}", value) for n, value in enumerate(cents)]
    best = sorted(cents, reverse=True)[:5]
    expected = round(sum((value * Fraction(1, 2) ** place for place, value in enumerate(best)), Fraction()))
    shuffle.shuffle(people)
    assert account_score(people, "m", RULES, NOON).score == expected


def test_the_commonest_name_by_its_commonest_spelling() -> None:
    names = ["㈱サンプル", "株式会社サンプル", "サンプル", "別会社", "株式会社サンプル"]
    account = describe([contact(f"l{n}", 0, name=name) for n, name in enumerate(names)])
    assert (account.name, account.domains, account.given_id) == ("株式会社サンプル", ("example.co.jp",), None)
    assert "サンプル" in account.search_text.split()


def test_a_contact_survives_storage() -> None:
    for one in (contact("l", 1234, name="株式会社サンプル"), contact("l", None, days=None, key=None, domain=None)):
        assert Contact.unpack("l", one.pack()) == one


def test_a_silent_cause_stays_silent_only_alone() -> None:
    silent, loud = contact("a", 0, cause="model"), contact("b", 0, cause="merge")
    assert [cause_of(news) for news in ([silent], [silent, loud], [])] == ["model", "merge", "time"]


def test_the_next_contact_to_fall_silent() -> None:
    people = [contact("a", 0, days=89), contact("b", 0, days=10), contact("c", 0, days=None), contact("d", 0, days=95)]
    assert next_inactive(people, [90 * DAY], NOON) == NOON + DAY


def test_a_model_may_name_its_accounts() -> None:
    model = compiled(accounts={"score": "max", "active_within": "30d"}).model
    assert (model.accounts.score, model.accounts.active_within) == ("max", 30 * DAY)


def test_the_guides_have_these_numbers() -> None:
    people = [contact("a", 5200), contact("b", 3050), contact("c", 1200, days=120)]
    scores = account_score(people, "m", RULES, NOON).scores
    assert scores == {"damped": 7025, "max": 5200, "average": 4125, "sum": 9450}
    for name in ("accounts.md", "accounts.ja.md"):
        text = (Path(__file__).parents[4] / "docs" / name).read_text(encoding="utf-8")
        for cents in scores.values():
            assert cents is not None
            assert f"| {cents / 100:g} |" in text
        yaml = text.split("```yaml")[1].split("```")[0]
        assert "accounts: {" in yaml
        named = compiled(**read_document(yaml).tree).model.accounts
        assert (named.score, named.active_within) == ("damped", 90 * DAY)
