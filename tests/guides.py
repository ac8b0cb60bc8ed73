"""The fenced blocks of a guide, which are run as they stand but for the hosts."""

import re
from pathlib import Path

from deploy.local.paths import ROOT

WEB = ROOT / "docs" / "web"
SERVICE, SITE = "https://leads.example.co.jp", "https://www.example.co.jp"
"""The hosts the guides name."""
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(name: str, language: str) -> list[str]:
    """The blocks of that language in docs/web/NAME, in order."""
    return [body for kind, body in fenced(WEB / name) if kind == language]


def fenced(path: Path) -> list[tuple[str, str]]:
    """Every block with its language."""
    return _FENCE.findall(path.read_text(encoding="utf-8"))


def here(text: str, service: str, site: str) -> str:
    """With the hosts of a test."""
    return text.replace(SERVICE, service).replace(SITE, site)
