"""`sources.yaml` from the configuration folder."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from services.ingest.site.config import Form, Tag, read_forms, read_tags
from services.ingest.sources.config import Source, read_webhooks
from shared.conditions.faults import Fault
from shared.documents import Document, DocumentFaults, read_document
from shared.errors import ConfigError

NAME = "sources.yaml"
PARTS = ("forms", "tags", "webhooks")


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything the file describes, by name."""

    webhooks: dict[str, Source] = field(default_factory=dict)
    forms: dict[str, Form] = field(default_factory=dict)
    tags: dict[str, Tag] = field(default_factory=dict)


def load_webhooks(config_dir: Path, env: Mapping[str, str], region: str = "JP") -> dict[str, Source]:
    """The webhook sources of `config_dir`; see `load_sources`."""
    return load_sources(config_dir, env, region).webhooks


def load_sources(config_dir: Path, env: Mapping[str, str], region: str = "JP") -> Sources:
    """The sources of `config_dir`; none where there is no such file.

    Raises ConfigError with the file, the line and what was expected, for the first of its faults; the text names how
    many there are.
    """
    path = config_dir / NAME
    try:
        document = read_document(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Sources()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), f"expected a readable file in UTF-8 ({type(error).__name__})") from None
    except DocumentFaults as error:
        fault, line = error.faults[0]
        where = f"{path}:{line}: {fault.where}" if fault.path else f"{path}:{line}"
        raise ConfigError(where, fault.expected) from None
    tree = document.tree if document.tree is not None else {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}:1", f"expected the keys {', '.join(PARTS)}")
    faults = [Fault((key,), f"unknown key; expected {', '.join(PARTS)}") for key in tree if key not in PARTS]
    webhooks, of_webhooks = read_webhooks(tree.get("webhooks"), env, region)
    forms, of_forms = read_forms(tree.get("forms"), env, region)
    tags, of_tags = read_tags(tree.get("tags"), env)
    if faults := [*faults, *of_forms, *of_tags, *of_webhooks]:
        raise _refused(path, document, faults)
    return Sources(webhooks, forms, tags)


def _refused(path: Path, document: Document, faults: list[Fault]) -> ConfigError:
    first = min(faults, key=lambda fault: document.line(fault.path))
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return ConfigError(f"{path}:{document.line(first.path)}: {first.where}", first.expected + more)
