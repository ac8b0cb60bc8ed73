"""docs/security.md names every limit as it is."""

import re
from pathlib import Path

import pytest

from services.ingest.limits import rows, table

DOCS = Path(__file__).parents[3] / "docs"
ROW = re.compile(r"^\| `(KIZASHI_\w+)` \| `([^`]*)` \| (.+) \|$", re.MULTILINE)


def listed(name: str) -> str:
    text = (DOCS / name).read_text(encoding="utf-8")
    return text.partition("<!-- limits -->\n")[2].partition("<!-- /limits -->")[0]


def test_the_table_is_that_of_the_settings() -> None:
    assert listed("security.md") == table(), "make it anew: python -m services.ingest.limits"


def test_the_japanese_table_has_the_same_settings_and_values() -> None:
    found = [row[:2] for row in ROW.findall(listed("security.ja.md"))]
    assert found == [row[:2] for row in rows()]


@pytest.mark.parametrize("row", list(rows()), ids=lambda row: str(row[0]))
def test_every_limit_says_what_it_is(row: tuple[str, str, str]) -> None:
    assert row[2]


def test_both_languages_have_the_same_chapters() -> None:
    def shape(name: str) -> list[str]:
        return re.findall(r"^(#+) ", (DOCS / name).read_text(encoding="utf-8"), re.MULTILINE)

    assert shape("security.md") == shape("security.ja.md")
