"""`kizashi forms`: the HTML of a form, and what keeps a form of a page from arriving."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urljoin, urlsplit

import orjson
import typer

from deploy.cli.common import ConfigDir, Json, fail, print_json
from deploy.local.paths import ROOT
from services.ingest.site.checking import Finding, FoundForm, Page, before_sending, chosen_form, filled_in, read_page
from services.ingest.site.config import Form
from services.ingest.site.snippets import form_with_script, plain_form
from services.ingest.sources.file import load_sources
from shared.outgoing import AddressRefused, Answer, Call, Outgoing, Rules, TooLong, Unanswered
from shared.settings import Settings, load

REDIRECTS = 5
PAGE_BYTES = 4_194_304
_MARKS = {"ok": "ok   ", "note": "note ", "fault": "FAULT"}

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Print a form's HTML; check a page's form.")


@app.command()
def snippet(
    key: Annotated[str, typer.Argument(help="The form's key in sources.yaml.")],
    url: Annotated[
        str, typer.Option(help="The public address of the ingest service, as browsers reach it.")
    ] = "http://127.0.0.1:8001",
    script: Annotated[
        bool | None, typer.Option("--js/--no-js", help="Only the form with a script, or only the one without.")
    ] = None,
    english: Annotated[bool, typer.Option("--english", help="English labels and messages.")] = False,
    config_dir: ConfigDir = None,
    as_json: Json = False,
) -> None:
    """Print HTML to paste: the form as it works by itself, and the same with a script that stays on the page."""
    form, base = _form(key, config_dir), url.rstrip("/")
    language = "en" if english else "ja"
    snippets = {"html": plain_form(form, base, language), "html_with_script": form_with_script(form, base, language)}  # type: ignore[arg-type]
    if as_json:
        print_json({"form": key, "action": f"{base}/v1/forms/{key}", **snippets})
        return
    if script is None:
        print(f"<!-- {key}, without JavaScript -->\n{snippets['html']}")
        print(f"<!-- {key}, with JavaScript: use one of the two -->\n{snippets['html_with_script']}", end="")
    else:
        print(snippets["html_with_script" if script else "html"], end="")
    if not form.allowed_origins:
        typer.echo(f"{key} has no allowed_origins in sources.yaml: no page may send it yet.", err=True)


def _form(key: str, config_dir: Path | None) -> Form:
    forms = load_sources(config_dir or ROOT / "config", os.environ).forms
    if key not in forms:
        raise fail(f"sources.yaml has no form {key}; it has {', '.join(forms) or 'none'}", 2)
    return forms[key]


@app.command()
def check(
    url: Annotated[str, typer.Argument(help="The address of the page with the form.")],
    allow: Annotated[
        list[str] | None,
        typer.Option(help="host:port that may be called though it is not public; also KIZASHI_OUTGOING__ALLOW."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Load a page, find its form, send a test that is never kept, and name what is wrong. Exit 1 for a fault."""
    listed = [load(Settings).outgoing.allow, *(allow or [])]
    findings = asyncio.run(_check(url, Rules.of(",".join(listed))))
    faulty = any(finding.level == "fault" for finding in findings)
    if as_json:
        items = [{"level": one.level, "code": one.code, "text": one.text, "line": one.line} for one in findings]
        print_json({"url": url, "ok": not faulty, "findings": items})
    else:
        for one in findings:
            print(f"{_MARKS[one.level]} {f'line {one.line}: ' if one.line else ''}{one.text}")
        print("the form works" if not faulty else "the form does not work")
    raise typer.Exit(1 if faulty else 0)


async def _check(url: str, rules: Rules) -> list[Finding]:
    outgoing = Outgoing(rules, max_bytes=PAGE_BYTES)
    try:
        loaded = await _load(outgoing, url)
        if isinstance(loaded, Finding):
            return [loaded]
        findings = before_sending(loaded)
        form = chosen_form(loaded)
        return findings if form is None else [*findings, *await _send_test(outgoing, loaded, form)]
    finally:
        await outgoing.aclose()


async def _load(outgoing: Outgoing, url: str) -> Page | Finding:
    for _ in range(REDIRECTS + 1):
        answer = await _ask(outgoing, Call("GET", url, {"Accept": "text/html"}))
        if isinstance(answer, Finding):
            return answer
        if answer.status in (301, 302, 303, 307, 308) and "location" in answer.headers:
            url = urljoin(url, answer.headers["location"])
            continue
        if answer.status != 200:
            return Finding("fault", "page_status", f"the page answers {answer.status}")
        return read_page(answer.body, url, answer.headers)
    return Finding("fault", "page_redirects", f"the page redirects more than {REDIRECTS} times")


async def _ask(outgoing: Outgoing, call: Call) -> Answer | Finding:
    host = urlsplit(call.url).netloc
    try:
        return await outgoing.send(call)
    except AddressRefused as error:
        return Finding(
            "fault", "address_refused", f"{host} is not called: {error} (--allow host:port lists exceptions)"
        )
    except (Unanswered, TooLong) as error:
        return Finding("fault", "unreachable", f"{host} gives no answer that can be read: {error}")


async def _send_test(outgoing: Outgoing, page: Page, form: FoundForm) -> list[Finding]:
    parts = urlsplit(page.url)
    origin = f"{parts.scheme}://{parts.netloc}"
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Accept": "application/json",
        "Origin": origin,
    }
    answer = await _ask(outgoing, Call("POST", form.action, headers, filled_in(form)))
    return [answer] if isinstance(answer, Finding) else judged(answer, origin, form.line)


def judged(answer: Answer, origin: str, line: int | None) -> list[Finding]:
    """What the answer to a test means."""
    told = _json(answer.body)
    code = str(told.get("code", ""))
    if answer.status == 200 and told.get("test") is True:
        fields: Mapping[str, str] = told.get("fields", {})
        shown = ", ".join(f"{name} → {to}" for name, to in fields.items())
        notes = [Finding("note", "field", str(note), line) for note in told.get("notes", [])]
        return [Finding("ok", "test", f"a test was taken from {origin}: {shown}"), *notes]
    if code == "origin_not_allowed":
        text = f"pages of {origin} may not send this form: add it to allowed_origins in sources.yaml"
        return [Finding("fault", code, text, line)]
    if code == "not_found" and answer.status == 404:
        return [Finding("fault", "unknown_form", "there is no form with the key that the action names", line)]
    if code == "invalid_fields":
        places = "; ".join(f"{one['pointer']}: {one['detail']}" for one in told.get("errors", []))
        return [Finding("fault", code, f"the fields do not suffice: {places or told.get('detail')}", line)]
    if code:
        return [Finding("fault", code, f"the form is refused: {told.get('detail')}", line)]
    return [Finding("fault", "not_kizashi", f"the action answers {answer.status}, not as Kizashi does", line)]


def _json(body: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
