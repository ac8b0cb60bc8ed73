"""Faults of sources.yaml are named by file and line."""

from pathlib import Path

import pytest

from services.ingest.sources.file import load_webhooks
from shared.errors import ConfigError


def test_no_file_is_no_sources(tmp_path: Path) -> None:
    assert load_webhooks(tmp_path, {}) == {}


def test_the_shipped_file_loads() -> None:
    sources = load_webhooks(Path(__file__).parents[3] / "config", {})
    assert all(source.disabled for source in sources.values())
    with_secret = load_webhooks(Path(__file__).parents[3] / "config", {"HUBSPOT_SECRET": "x"})
    assert with_secret["hubspot-main"].disabled is None


@pytest.mark.parametrize(
    ("text", "place", "expected"),
    [
        (
            "webhooks:\n  a:\n    adapter: nope\n    secrets: [x]\n",
            "sources.yaml:3: webhooks.a.adapter",
            "expected one of",
        ),
        ("webhooks:\n  a: {adapter: mautic, secrets: []}\n", "sources.yaml:2: webhooks.a.secrets", "(and 1 more)"),
        ("webhook: {}\n", "sources.yaml:1: webhook", "unknown key"),
        ("webhooks: {a: [}\n", "sources.yaml:1", "broken YAML"),
        ("- a\n", "sources.yaml:1", "expected the keys"),
        ("forms: {}\nforms: {}\n", "sources.yaml:2: forms", "given twice"),
        ("\udcff", "sources.yaml", "UTF-8"),
    ],
)
def test_names_the_line(tmp_path: Path, text: str, place: str, expected: str) -> None:
    also_wrong = "  b: {adapter: mautic}\n" if "more" in expected else ""
    (tmp_path / "sources.yaml").write_bytes((text + also_wrong).encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError) as raised:
        load_webhooks(tmp_path, {})
    assert raised.value.where.endswith(place)
    assert expected in raised.value.expected
