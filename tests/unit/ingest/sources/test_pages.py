"""The pages in docs/webhooks say what the adapters do."""

import re
from pathlib import Path

import pytest

from services.ingest.sources import registry, tracking
from services.ingest.sources.config import read_webhooks
from services.ingest.sources.registry import SOURCES
from shared.documents import read_document

PAGES = Path(__file__).parents[4] / "docs" / "webhooks"
_YAML = re.compile(r"```yaml\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize("name", SOURCES)
class TestPage:
    def test_its_examples_are_valid_configuration(self, name: str) -> None:
        examples = _YAML.findall((PAGES / f"{name}.md").read_text(encoding="utf-8"))
        assert len(examples) == 2
        for example in examples:
            env = dict.fromkeys(re.findall(r"\$\{(\w+)\}", example), "a-secret")
            sources, faults = read_webhooks(read_document(example).tree["webhooks"], env)
            assert faults == []
            assert [(source.adapter.name, source.disabled) for source in sources.values()] == [(name, None)]

    def test_it_lists_every_kind_in_both_languages(self, name: str) -> None:
        page = (PAGES / f"{name}.md").read_text(encoding="utf-8")
        module = getattr(registry, name.replace("-", "_"))
        types = getattr(module, "TYPES", tracking.TYPES if name in ("segment", "rudderstack") else {})
        for kind, ours in types.items():
            assert page.count(f"| `{kind}` | `{ours}` |") == 2, kind

    def test_it_says_where_the_adapter_is_best_effort(self, name: str) -> None:
        page = (PAGES / f"{name}.md").read_text(encoding="utf-8")
        assert ("**Best effort**" in page) is SOURCES[name].best_effort
        assert ("**ベストエフォート**" in page) is SOURCES[name].best_effort


def test_the_index_lists_every_page() -> None:
    index = (PAGES / "README.md").read_text(encoding="utf-8")
    for name, adapter in SOURCES.items():
        state = "best effort" if adapter.best_effort else "checked"
        assert re.search(rf"\]\({name}\.md\) \| `{name}` \| [^|]*{state} \|", index), name
