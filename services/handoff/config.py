"""The configuration folder: `handoff.yaml`, and what the scoring models beside it watch."""

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from services.handoff.core.rules import Handoffs, RuleFaults, load_rules
from services.handoff.core.watch import Watched
from shared.documents import DocumentFaults, read_document
from shared.errors import ConfigError

FILE = "handoff.yaml"
PRIMARY_FILE = "scoring.yaml"
OTHERS_FOLDER = "models"


def read_handoff_file(path: Path) -> Handoffs:
    """Read and validate the file. Raises ConfigError with file, line and path of every fault."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), f"expected a readable file in UTF-8 ({error})") from None
    try:
        return load_rules(text, path.name)
    except RuleFaults as error:
        raise ConfigError(str(path), str(error)) from None


def addresses_of(handoffs: Handoffs) -> Mapping[str, str]:
    """The addresses of the members of all queues, by name."""
    members = [member for queue in handoffs.file.queues.values() for member in queue.members]
    return {member.name: member.email for member in members if member.email}


def watched_totals(config_dir: Path) -> tuple[str | None, Mapping[str, Watched]]:
    """The primary model's name, and what each model watches.

    The models are scoring's to validate: of a file that cannot be read nothing is said here.
    """
    others = config_dir / OTHERS_FOLDER
    primary = _watch(config_dir / PRIMARY_FILE)
    found = [primary, *(_watch(path) for path in sorted(others.glob("*")) if path.suffix in (".yaml", ".yml", ".json"))]
    return primary[0] if primary else None, dict(pair for pair in found if pair)


def _watch(path: Path) -> tuple[str, Watched] | None:
    try:
        tree: Any = read_document(path.read_text(encoding="utf-8")).tree
        totals = frozenset(Fraction(str(total)) for total in tree.get("watch") or ())
        return str(tree["model"]), Watched(totals, tree.get("forecast") is True)
    except (OSError, DocumentFaults, ValueError, TypeError, KeyError, AttributeError):
        return None
