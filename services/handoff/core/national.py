"""The public holidays of a country, asked of a process of its own.

The `holidays` package loads every country of the world: 20 MiB that a service would keep for a few days of one.

    python -m services.handoff.core.national JP
"""

import re
import subprocess
import sys
from collections.abc import Callable, Container
from datetime import date
from functools import cache

from shared.errors import KizashiError

FIRST_YEAR, LAST_YEAR = 2000, 2100
"""What the process is asked for. Days of other years are looked up here, at the price of that memory."""
UNKNOWN = 3
"""What the process ends with where there is no such country."""
WITHIN_S = 30.0
_CODE = re.compile("[A-Z]{2,3}")


def is_country(code: str) -> bool:
    """Whether these are the letters of a country (ISO 3166-1) whose holidays are known. Raises KizashiError."""
    return _CODE.fullmatch(code) is not None and _asked(code) is not None


def national_holidays(country: str) -> Callable[[date], bool]:
    """Which days are public holidays of a country that `is_country` knows. Raises KizashiError where the process that
    is asked fails.
    """
    days = _asked(country) or frozenset()
    return lambda day: day in (days if FIRST_YEAR <= day.year <= LAST_YEAR else _of_all_years(country))


@cache
def _asked(country: str) -> frozenset[date] | None:
    """The days of a country, None where there is none of that name."""
    command = [sys.executable, "-m", __name__, country]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN_S, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as error:
        raise KizashiError(f"the holidays of {country} could not be looked up: {error}") from error
    if done.returncode == UNKNOWN:
        return None
    if done.returncode:
        raise KizashiError(f"the holidays of {country} could not be looked up: {done.stderr.strip()[-500:]}")
    return frozenset(map(date.fromisoformat, done.stdout.split()))


@cache
def _of_all_years(country: str) -> Container[date]:
    from holidays import country_holidays  # noqa: PLC0415

    return country_holidays(country)


def main() -> None:
    """Print the days of the country that is named, or end with UNKNOWN."""
    from holidays import country_holidays, list_supported_countries  # noqa: PLC0415

    country = sys.argv[1]
    if country not in list_supported_countries():
        sys.exit(UNKNOWN)
    for day in sorted(country_holidays(country, years=range(FIRST_YEAR, LAST_YEAR + 1))):
        sys.stdout.write(f"{day.isoformat()}\n")


if __name__ == "__main__":
    main()
