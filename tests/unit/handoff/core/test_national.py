"""Public holidays from a process of its own: the same days as the package names, and what it does not know."""

import subprocess
import sys
from datetime import date, timedelta

import pytest
from holidays import country_holidays

from services.handoff.core import national
from services.handoff.core.national import FIRST_YEAR, LAST_YEAR, is_country, national_holidays

FIRST = date(FIRST_YEAR, 1, 1)


@pytest.mark.parametrize("country", ["JP", "DE", "US", "SA", "JPN"])
def test_every_day_is_as_the_package_says(country: str) -> None:
    said, closed = country_holidays(country), national_holidays(country)
    days = [FIRST + timedelta(days=number) for number in range(-800, (LAST_YEAR - FIRST_YEAR + 3) * 366)]
    assert [day for day in days if closed(day)] == [day for day in days if day in said]
    assert sum(map(closed, days)) > 500


@pytest.mark.parametrize("code", ["XX", "jp", "", "J", "Japan", "-c", "../JP"])
def test_what_names_no_country(code: str) -> None:
    assert not is_country(code)


def test_the_service_itself_does_not_load_the_package() -> None:
    asked = (
        "import sys, datetime\nfrom services.handoff.core.national import national_holidays\n"
        "print(national_holidays('JP')(datetime.date(2027, 1, 1)), 'holidays' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["True", "False"]


@pytest.mark.parametrize("interpreter", ["/nowhere/python", "/bin/false"])
def test_without_a_process_the_days_are_the_same(monkeypatch: pytest.MonkeyPatch, interpreter: str) -> None:
    asked = national._asked("JP")
    monkeypatch.setattr(sys, "executable", interpreter)
    assert asked
    assert national._asked.__wrapped__("JP") == asked
    assert national._asked.__wrapped__("XX") is None
