"""A real browser, a site of its own origin, and a stack it sends to.

The browser is the machine's: Debian's chromium, or what CHROMIUM names. Nothing is downloaded.
"""

import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from deploy.local import stack as local_stack
from deploy.local.paths import ROOT
from deploy.local.stack import Stack
from shared.codec import encode
from shared.documents import read_document
from tests.conftest import PARTITIONS
from tests.e2e.client import Client
from tests.guides import blocks, here
from tests.site import Site, serving

WRITE_KEY = "wk_of_the_browser"
FIELDS = {
    "お名前": "attributes.name",
    "会社名": "attributes.company",
    "メールアドレス": "lead.email",
    "ご相談内容": "properties.message",
    "同意": "consent.profiling",
}


@dataclass(frozen=True)
class Running:
    """Everything a test of the browser needs."""

    site: Site
    stack: Stack
    ingest: str
    config: Path


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    with serving() as running:
        yield running


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory, site: Site) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("browser")
    # PostgreSQL does not run as root and has to pass through.
    for parent in (folder, folder.parent, folder.parent.parent):
        parent.chmod(0o711)
    config = folder / "config"
    shutil.copytree(ROOT / "config", config)
    form = {
        "activity": "inquiry_sent",
        "allowed_origins": [site.origin],
        "thank_you": f"{site.origin}/thanks",
        "fields": FIELDS,
        "consent_text": "個人情報の取扱いに同意します",
    }
    usual = {"activity": "document_requested", "allowed_origins": [site.origin], "properties": {"document": "guide"}}
    tags: dict[str, object] = {"browser": {"write_keys": [WRITE_KEY], "allowed_origins": [site.origin]}}
    tree: dict[str, dict[str, object]] = {"forms": {"all-fields": form, "usual": usual}, "tags": tags}
    for name in ("forms.md", "tag.md"):
        for block in blocks(name, "yaml"):
            for part, entries in read_document(here(block, "", site.origin)).tree.items():
                tree[part].update(entries)
    (config / "sources.yaml").write_bytes(encode(tree))
    env = {"KIZASHI_KAFKA__PARTITIONS": str(PARTITIONS)}
    with local_stack.start(folder / "data", config_dir=config, services=["ingest", "scoring"], env=env) as stack:
        yield Running(site, stack, stack.addresses.services["ingest"], config)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    assert path, "no chromium on this machine; install it (apt-get install chromium) or name one in CHROMIUM"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture
def visitor(chromium: Browser) -> Iterator[BrowserContext]:
    """A person with an empty browser."""
    with chromium.new_context(locale="ja-JP") as context:
        context.set_default_timeout(15_000)
        yield context


@pytest.fixture
def client(running: Running) -> Iterator[Client]:
    with Client(running.stack) as opened:
        yield opened


@pytest.fixture
def email() -> str:
    return f"{uuid.uuid4().hex[:12]}@example.co.jp"
