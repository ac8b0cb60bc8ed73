"""The shipped configuration with every tool as a source of its own, and the secrets it names."""

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from services.ingest.sources.fetchers import FETCHERS
from shared.codec import encode
from shared.documents import read_document
from tests.unit.ingest.sources.samples import SAMPLES
from tests.unit.ingest.sources.signing import URL
from tests.unit.ingest.sources.test_fetching import ANSWERS

SHIPPED = Path("config")
SITE, WRITE_KEY = "https://www.example.co.jp", "wk_of_the_tests"
"""The origin of the shipped form, and a page tag of the same site."""


def _variable(adapter: str) -> str:
    return f"{adapter.upper().replace('-', '_')}_WEBHOOK_SECRET"


SECRETS = {_variable(sample.adapter): sample.secret for sample in SAMPLES}
"""What the environment holds for `${NAME}` in the configuration."""


def asked(adapter: str) -> str:
    """The name of the second source of a tool that sends ids alone: the one that asks its API."""
    return f"{adapter}-asked"


def email_of(id_: str) -> str:
    """Who the stand-in says is behind an id."""
    return f"taro.{id_.lower()}@asked.example.co.jp"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Answer as the tool would, about whatever id stands in the path."""
        adapter = next(name for name, start in STARTS.items() if self.path.startswith(start))
        id_ = self.path.partition("?")[0].rstrip("/").rpartition("/")[2]
        answer = json.loads(json.dumps(ANSWERS[adapter]).replace("taro.yamada@example.co.jp", email_of(id_)))
        body = encode({**answer, "id": id_})
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


STARTS = {"hubspot": "/crm/", "meta": "/v24.0/", "linkedin": "/rest/", "eventbrite": "/v3/"}


@contextmanager
def tool_apis() -> Iterator[str]:
    """A stand-in for the tools' APIs; `host:port`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def write_config(folder: Path, apis: str) -> Path:
    """Copy the shipped configuration to `folder`, with a source per adapter under the adapter's name, and one more for
    tools that send ids alone, and a rule on accounts.
    """
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
        if sample.adapter in FETCHERS:
            own = tree["webhooks"][sample.adapter]
            tree["webhooks"][asked(sample.adapter)] = {**own, "fetch": {"token": "token", "api": f"http://{apis}"}}
    tree["tags"] = {"website": {"write_keys": [WRITE_KEY], "allowed_origins": [SITE]}}
    path.write_bytes(encode(tree))  # JSON is YAML
    _add_levels(folder / "handoff.yaml")
    with (folder / "scoring.yaml").open("a", encoding="utf-8") as model:
        model.write(SIGNALS)
    return folder


SIGNALS = """
signals:
  - {id: clicked-price-link, activity: email_clicked, all: [{field: properties.link, contains: /price}]}
"""


def _add_levels(path: Path) -> None:
    """Two more rules, gated by attributes that no other test gives its leads: a call desk, and field sales; and one
    for accounts.
    """
    tree = read_document(path.read_text(encoding="utf-8")).tree
    tree["queues"] |= {"phone": {"members": [{"name": "mori"}]}, "field-sales": {}}
    common = {"when": "immediately", "enter": 1_000, "leave": 900}
    tree["rules"] += [
        {
            **common,
            "id": "call",
            "to": "phone",
            "instant": ["demo_requested", "clicked-price-link"],
            "require": {"attributes": ["wants_call"]},
        },
        {
            **common,
            "id": "field",
            "enter": 50,
            "leave": 45,
            "to": "field-sales",
            "require": {"attributes": ["second_level"], "handoff": {"rule": "hot", "state": ["accepted"]}},
        },
    ]
    tree["account_rules"] = [{"id": "hot-account", "enter": 60}]
    path.write_bytes(encode(tree))
