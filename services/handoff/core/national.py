"""The public holidays of a country, asked of a process of its own.

The `holidays` package loads every country of the world: 20 MiB that a service would keep for a few days of one. Where
no process can be had it is loaded here, at that price.

    python -m services.handoff.core.national JP
"""

import re
import subprocess
import sys
from collections.abc import Callable, Container, Iterable
from datetime import date
from functools import cache

FIRST_YEAR, LAST_YEAR = 2000, 2100
"""What the process is asked for. Days of other years are looked up here."""
UNKNOWN = 3
"""What the process ends with where there is no such country."""
WITHIN_S = 5.0
_CODE = re.compile("[A-Z]{2,3}")


def is_country(code: str) -> bool:
    """Whether these are the letters of a country (ISO 3166-1) whose holidays are known."""
    return _CODE.fullmatch(code) is not None and _asked(code) is not None


def national_holidays(country: str) -> Callable[[date], bool]:
    """Which days are public holidays of a country that `is_country` knows."""
    days = _asked(country) or frozenset()
    return lambda day: day in (days if FIRST_YEAR <= day.year <= LAST_YEAR else _of_all_years(country))


@cache
def _asked(country: str) -> frozenset[date] | None:
    """The days of a country, None where there is none of that name."""
    command = [sys.executable, "-m", __name__, country]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN_S, check=True)  # noqa: S603
    except subprocess.CalledProcessError as error:
        if error.returncode == UNKNOWN:
            return None
    except (OSError, subprocess.TimeoutExpired):
        pass
    else:
        return frozenset(map(date.fromisoformat, done.stdout.split()))
    days = _looked_up(country)
    return None if days is None else frozenset(days)


def _looked_up(country: str) -> Iterable[date] | None:
    from holidays import country_holidays, list_supported_countries  # noqa: PLC0415

    if country not in list_supported_countries():
        return None
    days: Iterable[date] = country_holidays(country, years=range(FIRST_YEAR, LAST_YEAR + 1))
    return days


@cache
def _of_all_years(country: str) -> Container[date]:
    from holidays import country_holidays  # noqa: PLC0415

    return country_holidays(country)


def main() -> None:
    """Print the days of the country that is named, or end with UNKNOWN."""
    days = _looked_up(sys.argv[1])
    if days is None:
        sys.exit(UNKNOWN)
    sys.stdout.writelines(f"{day.isoformat()}\n" for day in days)


if __name__ == "__main__":
    main()
