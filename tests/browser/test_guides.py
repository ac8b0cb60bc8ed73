"""Every block of docs/web: pages in the browser, commands in a shell, scripts on a page with the tag."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext

from tests.browser.conftest import Running
from tests.browser.test_forms import activities_of, lead_of, page_with
from tests.browser.test_tag import Sent
from tests.e2e.client import Client
from tests.guides import blocks, here

COMMANDS = [(name, number) for name in ("forms.md", "tag.md", "links.md") for number in range(len(blocks(name, "sh")))]
SCRIPTS = range(len(blocks("tag.md", "js")))


def block(running: Running, name: str, language: str, number: int) -> str:
    return here(blocks(name, language)[number], running.ingest, running.site.origin)


def test_nothing_is_left_out() -> None:
    assert (len(COMMANDS), len(SCRIPTS)) == (6, 3)
    assert [len(blocks(name, "html")) for name in ("forms.md", "tag.md", "links.md")] == [2, 3, 0]


@pytest.mark.parametrize(("name", "number"), COMMANDS)
def test_a_command_does_what_the_guide_says(running: Running, tmp_path: Path, name: str, number: int) -> None:
    running.site.put("/contact", page_with(block(running, "forms.md", "html", 0)))
    (tmp_path / "recipients.csv").write_text("メールアドレス\ntaro@example.co.jp\n", encoding="utf-8")
    hosts = ",".join(url.removeprefix("http://") for url in (running.ingest, running.site.origin))
    env = {key: value for key, value in os.environ.items() if not key.startswith("KIZASHI_")} | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "KIZASHI_CONFIG_DIR": str(running.config),
        "KIZASHI_DATA_DIR": str(running.stack.data.path),
        "KIZASHI_OUTGOING__ALLOW": hosts,
    }
    command = block(running, name, "sh", number)
    done = subprocess.run(["sh", "-ec", command], cwd=tmp_path, env=env, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, (command, done.stdout.decode(), done.stderr.decode())
    written = tmp_path / "with-links.csv"
    assert done.stdout or "/v1/c/" in written.read_text(encoding="utf-8")


def test_the_form_written_by_hand_works(running: Running, visitor: BrowserContext, client: Client, email: str) -> None:
    running.site.put("/thanks", "<title>thanks</title>")
    page = visitor.new_page()
    page.goto(running.site.put("/hand", page_with(block(running, "forms.md", "html", 0))))
    page.fill("[name=お名前]", "山田 太郎")
    page.fill("[name=メールアドレス]", email)
    page.click("button")
    page.wait_for_url("**/thanks")
    assert lead_of(client, email, 15)["attributes"] == {"name": "山田 太郎"}


def test_a_form_from_a_script_works(running: Running, visitor: BrowserContext, client: Client, email: str) -> None:
    script = block(running, "forms.md", "html", 1).replace("taro.yamada@example.co.jp", email)
    page = visitor.new_page()
    with page.expect_response(lambda answer: answer.request.method == "POST") as told:
        page.goto(running.site.put("/script", page_with(script)))
    assert told.value.status == 202
    assert activities_of(client, lead_of(client, email, 5))[0]["properties"]["document"] == "price-list-2026"


@pytest.mark.parametrize("number", SCRIPTS)
def test_a_script_works_on_a_page_with_the_tag(running: Running, visitor: BrowserContext, number: int) -> None:
    faults: list[str] = []
    page = visitor.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    sent = Sent(page)
    body = "".join(block(running, "tag.md", "html", place) for place in (2, 0, 1))
    page.goto(running.site.put("/guide", page_with(body)))
    sent.until(page, 1)
    with page.expect_response("**/v1/collect") as told:
        page.evaluate(f"() => {{ {block(running, 'tag.md', 'js', number)} }}")
    assert told.value.status == 202
    assert faults == []


def test_a_marked_form_is_sent_by_the_tag(
    running: Running, visitor: BrowserContext, client: Client, email: str
) -> None:
    running.site.put("/newsletter", "<title>done</title>")
    page = visitor.new_page()
    sent = Sent(page)
    page.goto(
        running.site.put("/marked", page_with("".join(block(running, "tag.md", "html", place) for place in (0, 1))))
    )
    sent.until(page, 1)
    page.fill("input", email)
    page.click("button")
    page.wait_for_url("**/newsletter*")
    kinds = {one["type"] for one in activities_of(client, lead_of(client, email, 2.5))}
    assert kinds == {"newsletter_subscribed", "page_viewed"}
