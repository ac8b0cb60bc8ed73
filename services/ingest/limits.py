"""The table of limits in docs/security.md, from the settings themselves: `python -m services.ingest.limits`."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from services.ingest.settings import IngestSettings
from shared.settings import PREFIX

SECTIONS = ("http", "rate", "ingest")
NO_LIMITS = frozenset(
    "http__host http__port http__trusted_proxies ingest__spool_dir ingest__compression ingest__record_batch_bytes"
    " ingest__link_key_version ingest__link_key_oldest".split()
)
HEAD = ("Setting", "Default", "Meaning")


def rows() -> Iterator[tuple[str, str, str]]:
    """Name of the variable, default, meaning."""
    for section in SECTIONS:
        kind: Any = IngestSettings.model_fields[section].annotation
        assert issubclass(kind, BaseModel)
        for name, field in kind.model_fields.items():
            if f"{section}__{name}" not in NO_LIMITS:
                meaning = " ".join((field.description or "").split()).removesuffix(".")
                yield f"{PREFIX}{section}__{name}".upper(), _shown(field.default), meaning


def table() -> str:
    """The rows as Markdown."""
    lines = [HEAD, ("---", "---:", "---"), *((f"`{name}`", f"`{value}`", text) for name, value, text in rows())]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    print(table(), end="")
