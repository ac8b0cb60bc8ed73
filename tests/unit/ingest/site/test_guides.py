"""The guides of docs/web: both languages show the same code, and their configuration is valid."""

from pathlib import Path

import pytest

from services.ingest.site.config import FormConfig, TagConfig, read_forms, read_tags
from services.ingest.site.submission import BROWSER, PAGE, STARTED, SUBMISSION, TEST
from shared.documents import read_document
from tests.guides import WEB, blocks, fenced

GUIDES = sorted(path.name for path in WEB.glob("*.md") if not path.name.endswith(".ja.md"))


def test_there_are_guides() -> None:
    assert GUIDES == ["forms.md", "links.md", "tag.md"]


@pytest.mark.parametrize("name", GUIDES)
def test_both_languages_show_the_same(name: str) -> None:
    english, japanese = WEB / name, WEB / name.replace(".md", ".ja.md")
    assert fenced(english) == fenced(japanese)

    def headings(path: Path) -> list[int]:
        return [line.count("#") for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]

    assert headings(english) == headings(japanese)


def test_the_configuration_is_valid_and_complete() -> None:
    forms = [read_document(block).tree for block in blocks("forms.md", "yaml")]
    tags = [read_document(block).tree for block in blocks("tag.md", "yaml")]
    assert [read_forms(tree["forms"], {})[1] for tree in forms] == [[]]
    assert [read_tags(tree["tags"], {})[1] for tree in tags] == [[]]


def test_every_key_and_hidden_field_is_named() -> None:
    page = (WEB / "forms.md").read_text(encoding="utf-8")
    for name in (*FormConfig.model_fields, BROWSER, SUBMISSION, STARTED, PAGE, TEST):
        assert f"| `{name}` |" in page, name
    tag = (WEB / "tag.md").read_text(encoding="utf-8")
    assert all(f"{name}:" in tag for name in TagConfig.model_fields)
