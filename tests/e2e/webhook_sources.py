"""The shipped configuration with every tool as a source of its own, and the secrets it names."""

import shutil
from pathlib import Path

from shared.codec import encode
from shared.documents import read_document
from tests.unit.ingest.sources.samples import SAMPLES
from tests.unit.ingest.sources.signing import URL

SHIPPED = Path("config")


def _variable(adapter: str) -> str:
    return f"{adapter.upper().replace('-', '_')}_WEBHOOK_SECRET"


SECRETS = {_variable(sample.adapter): sample.secret for sample in SAMPLES}
"""What the environment holds for `${NAME}` in the configuration."""


def write_config(folder: Path) -> Path:
    """Copy the shipped configuration to `folder`, with a source per adapter under the adapter's name."""
    shutil.copytree(SHIPPED, folder)
    path = folder / "sources.yaml"
    tree = read_document(path.read_text(encoding="utf-8")).tree
    for sample in SAMPLES:
        tree["webhooks"][sample.adapter] = {
            "adapter": sample.adapter,
            "secrets": [f"${{{_variable(sample.adapter)}}}"],
            "public_url": URL.partition("?")[0],
            "timezone": sample.told.get("timezone", "UTC"),
        }
    path.write_bytes(encode(tree))  # JSON is YAML
    return folder
