"""`kizashi webhook`: why a tool's webhook is refused, and what arrives."""

import json
import os
import re
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import httpx2
import orjson
import typer

from deploy.cli.common import DEFAULT_DATA_DIR, ConfigDir, DataDir, Json, check_key, fail, stack_addresses
from deploy.local.paths import ROOT
from services.ingest.sources.base import Delivery, Headers, Options
from services.ingest.sources.config import Source
from services.ingest.sources.file import load_webhooks
from services.ingest.sources.receive import Received, receive
from services.ingest.sources.registry import SOURCES
from shared.clock import from_rfc3339, system_clock

POLL_S = 0.5
DEFAULT_URL = "https://localhost/"
_SECONDS = re.compile(r"[0-9]{1,11}(?:\.[0-9]+)?")

app = typer.Typer(name="webhook", help="Check webhooks of marketing tools.", no_args_is_help=True, add_completion=False)


@app.callback()
def _group() -> None:
    """Check webhooks of marketing tools."""


def _instant(text: str) -> datetime:
    """RFC 3339, or Unix seconds as most tools sign them."""
    try:
        if _SECONDS.fullmatch(text):
            return datetime.fromtimestamp(float(text), UTC)
        return from_rfc3339(text)
    except (ValueError, OverflowError, OSError) as error:
        raise typer.BadParameter(f"{error}; expected RFC 3339 such as 2026-11-20T10:15:00+09:00") from None


def _adapter(name: str | None) -> str | None:
    if name is not None and name not in SOURCES:
        raise typer.BadParameter(f"expected one of {' '.join(SOURCES)}")
    return name


def headers_of(text: bytes) -> Headers:
    """Headers from JSON: `{"Name": "value" or ["value", …]}`, or `[["Name", "value"], …]`. Raises ValueError."""
    tree = json.loads(text, object_pairs_hook=list)
    pairs: list[tuple[str, str]] = []
    for entry in tree if isinstance(tree, list) else [None]:
        if not isinstance(entry, (list, tuple)) or len(entry) != 2 or not isinstance(entry[0], str):
            raise ValueError('expected {"Header-Name": "value", …}')
        values = entry[1] if isinstance(entry[1], list) else [entry[1]]
        if not all(isinstance(value, (str, int)) and not isinstance(value, bool) for value in values):
            raise ValueError(f"the value of {entry[0]} is not a text")
        pairs += [(entry[0], str(value)) for value in values]
    return Headers(pairs)


def report(received: Received) -> dict[str, Any]:
    """What `webhook check` prints: the verdict, the activities as posted, and what was not taken and why."""
    shown: dict[str, Any] = {
        "valid": received.verdict.valid,
        "reason": received.verdict.reason,
        "activities": [taken.posted for taken in received.taken],
    }
    if received.refused:
        shown["refused"] = [{"item": refused.position, "reason": refused.reason} for refused in received.refused]
    if received.ignored:
        shown["ignored"] = [ignored.reason for ignored in received.ignored]
    if received.reply is not None:
        body = received.reply.body.decode("utf-8", "replace")
        shown["reply"] = {"status": received.reply.status, "body": body}
    return shown


@app.command()
def check(
    headers: Annotated[Path, typer.Option(exists=True, dir_okay=False, help='The headers as {"Name": "value"}.')],
    body: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="The body, byte for byte.")],
    adapter: Annotated[str | None, typer.Option(callback=_adapter, help="The tool: " + " ".join(SOURCES))] = None,
    secret: Annotated[
        list[str] | None, typer.Option(help="A secret or public key of the source; several while rotating.")
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="A source of sources.yaml, in place of --adapter, --secret and --url.")
    ] = None,
    config_dir: ConfigDir = None,
    url: Annotated[
        str | None, typer.Option(help="The public address as the tool requested it, query included.")
    ] = None,
    method: Annotated[str, typer.Option(help="The request's method.")] = "POST",
    now: Annotated[
        datetime | None,
        typer.Option(
            parser=_instant, metavar="INSTANT", help="When it arrived, RFC 3339 or Unix seconds; default now."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Verify and read one request offline: is it genuine, and which activities would it make?"""
    try:
        lines = headers_of(headers.read_bytes())
    except (ValueError, RecursionError) as error:
        raise typer.BadParameter(f"not headers in JSON: {error}", param_hint="--headers") from None
    known = _configured(source, config_dir) if source else _conventional(adapter, secret)
    received = receive(
        known.adapter,
        Delivery(method.upper(), url or known.public_url or DEFAULT_URL, lines, body.read_bytes()),
        [*known.secrets, *(secret or ())] if source else known.secrets,
        now=now or system_clock(),
        options=known.options,
    )
    shown = report(received)
    if as_json:
        sys.stdout.buffer.write(orjson.dumps(shown, default=str) + b"\n")
    else:
        _print(shown)
    raise typer.Exit(0 if received.verdict.valid else 1)


def _conventional(adapter: str | None, secrets: list[str] | None) -> Source:
    """A source of that adapter with nothing particular to it."""
    if adapter is None or not secrets:
        missing = "--secret" if adapter else "--adapter"
        raise typer.BadParameter("is needed, unless --source names a source of sources.yaml", param_hint=missing)
    # Older schemes are asked too: the question is what the request is, not what a source would accept.
    options = Options(source=adapter, system=adapter, accept_v1=True)
    return Source(adapter, SOURCES[adapter], tuple(secrets), options)


def _configured(name: str, config_dir: Path | None) -> Source:
    sources = load_webhooks(config_dir or ROOT / "config", os.environ)
    if name not in sources:
        raise typer.BadParameter(f"expected one of {' '.join(sources) or '(none)'}", param_hint="--source")
    if sources[name].disabled:
        raise fail(f"source {name}: {sources[name].disabled}")
    return sources[name]


def _print(shown: dict[str, Any]) -> None:
    typer.echo(f"{'valid' if shown['valid'] else 'not valid'}: {shown['reason']}")
    for activity in shown["activities"]:
        typer.echo(orjson.dumps(activity, option=orjson.OPT_INDENT_2, default=str).decode())
    for refused in shown.get("refused", ()):
        typer.echo(f"item {refused['item']} not understood: {refused['reason']}")
    for reason in shown.get("ignored", ()):
        typer.echo(f"not published: {reason}")
    if shown.get("handshake"):
        typer.echo("the tool's question about the address was answered")
    if "reply" in shown:
        typer.echo(f"answered with {shown['reply']['status']}: {shown['reply']['body']}")


@app.command()
def listen(
    source: Annotated[str, typer.Argument(help="The source's name in sources.yaml.")],
    count: Annotated[int | None, typer.Option("--count", "-n", min=1, help="End after so many requests.")] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    url: Annotated[str | None, typer.Option(help="The ingest service; default: that of the running stack.")] = None,
    key: Annotated[str | None, typer.Option(help="An API key of scope admin; default: the stack's own.")] = None,
    as_json: Json = False,
) -> None:
    """Show the next requests of a source as they arrive: genuine or why not, and what becomes of them."""
    check_key(key)
    if url is None or key is None:
        stack = stack_addresses(data_dir)
        url, key = url or stack.url("ingest"), key or stack.cli_key
    print(f"listening to {source}; end with Ctrl-C", file=sys.stderr)
    try:
        for number, request in enumerate(_requests(f"{url}/v1/sources/{source}/requests", key), 1):
            if as_json:
                sys.stdout.write(orjson.dumps(request).decode() + "\n")
            else:
                typer.echo(f"{request['received_at']} {request['method']}, {request['bytes']:,} bytes")
                _print(request)
            sys.stdout.flush()
            if number == count:
                return
    except KeyboardInterrupt:
        return
    except httpx2.HTTPError as error:
        raise fail(f"{url} does not answer ({type(error).__name__})") from None


def _requests(address: str, key: str) -> Iterator[dict[str, Any]]:
    """Each request once, from now on and without end."""
    after: int | None = None
    with httpx2.Client(headers={"Authorization": f"Bearer {key}"}, timeout=10.0) as client:
        while True:
            answer = client.get(address, params={} if after is None else {"after": after})
            told = answer.json()
            if answer.status_code != 200:
                raise fail(str(told.get("detail", answer.status_code)))
            yield from told["items"]
            # Numbers begin anew when the service does.
            after = told["latest"]
            time.sleep(POLL_S)
