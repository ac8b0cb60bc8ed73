"""`kizashi explain`: why a lead has its score, asked of the running scoring service."""

from typing import Annotated, Any, Literal

import httpx2
import typer

from deploy.cli.common import DEFAULT_DATA_DIR, DataDir, Json, StackAddresses, fail, print_json, stack_addresses
from deploy.cli.explanation_text import lines_of
from shared.clock import from_rfc3339

app = typer.Typer(add_completion=False)


def _instant(text: str) -> str:
    try:
        from_rfc3339(text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}; expected RFC 3339 such as 2026-11-20T10:15:00+09:00") from None
    return text


@app.command()
def explain(
    lead: Annotated[str, typer.Argument(help="The lead's id, or an e-mail address of it.")],
    at: Annotated[
        str | None,
        typer.Option(parser=_instant, metavar="INSTANT", help="RFC 3339; the lead as of then. Default: now."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--from", parser=_instant, metavar="INSTANT", help="Also say what is different from then."),
    ] = None,
    knowledge: Annotated[
        Literal["occurred", "recorded"],
        typer.Option(help="By what had happened by then, or by what was stored by then."),
    ] = "occurred",
    model: Annotated[str | None, typer.Option(help="Another model than the primary.")] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    as_json: Json = False,
) -> None:
    """Show every entry behind a lead's score, what was denied and why, and what will change next."""
    stack = stack_addresses(data_dir)
    asked = {"at": at, "from": since, "knowledge": knowledge, "model": model}
    with httpx2.Client(base_url=stack.url("scoring"), headers=stack.authorization, timeout=30.0) as client:
        try:
            lead_id = _lead_id(client, lead) if "@" in lead else lead
            answer = _ask(client, f"/v1/leads/{lead_id}/explanation", asked)
        except httpx2.HTTPError as error:
            raise fail(_unreachable(stack, error)) from None
    if as_json:
        print_json(answer)
    else:
        print("\n".join(lines_of(answer, lead)))


def _lead_id(client: httpx2.Client, email: str) -> str:
    found = _ask(client, "/v1/leads", {"email": email, "limit": "2"})["items"]
    if not found:
        raise fail(f"there is no lead with the address {email}")
    if len(found) > 1:
        raise fail(f"several leads share {email}; name one by its id: " + ", ".join(one["id"] for one in found), 2)
    return str(found[0]["id"])


def _ask(client: httpx2.Client, path: str, asked: dict[str, str | None]) -> dict[str, Any]:
    answer = client.get(path, params={name: value for name, value in asked.items() if value is not None})
    body: dict[str, Any] = answer.json()
    if answer.is_success:
        return body
    faults = "; ".join(f"{fault['pointer']}: {fault['detail']}" for fault in body.get("errors", ()))
    raise fail(f"{body.get('detail', answer.status_code)}{f' ({faults})' if faults else ''}")


def _unreachable(stack: StackAddresses, error: Exception) -> str:
    return f"the scoring service at {stack.url('scoring')} does not answer: {error or type(error).__name__}"
