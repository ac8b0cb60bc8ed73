"""`kizashi explain`: why a lead has its score, asked of the running scoring service."""

from typing import Annotated, Literal

import typer

from deploy.cli.asking import ask
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
    lead_id = _lead_id(stack, lead) if "@" in lead else lead
    answer = ask(stack, "scoring", f"/v1/leads/{lead_id}/explanation", asked).json()
    if as_json:
        print_json(answer)
    else:
        print("\n".join(lines_of(answer, lead)))


def _lead_id(stack: StackAddresses, email: str) -> str:
    found = ask(stack, "scoring", "/v1/leads", {"email": email, "limit": "2"}).json()["items"]
    if not found:
        raise fail(f"there is no lead with the address {email}")
    if len(found) > 1:
        raise fail(f"several leads share {email}; name one by its id: " + ", ".join(one["id"] for one in found), 2)
    return str(found[0]["id"])
