"""HTTP of accounts."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from services.scoring.account_answers import account_in_list, account_out
from services.scoring.account_reading import AccountFilter, AccountReader
from services.scoring.account_views import AccountPage, AccountWithContacts
from services.scoring.routes import AtQuery
from shared.backend import prepared
from shared.errors import ProblemError
from shared.web import PageQuery, paginate, require

router = APIRouter(tags=["accounts"], dependencies=[Depends(require("leads:read"))])


@router.get("/v1/accounts", summary="Accounts, by text or least score", responses={200: {"model": AccountPage}})
async def list_accounts(
    request: Request,
    page: PageQuery,
    q: Annotated[
        str | None, Query(max_length=200, description="Part of a name, with or without its legal form, or a domain.")
    ] = None,
    lead_id: Annotated[str | None, Query(max_length=64, description="The account of this lead.")] = None,
    min_score: Annotated[float | None, Query(description="Least stored score.", allow_inf_nan=False)] = None,
) -> Response:
    """A page of accounts as published last."""
    reader: AccountReader = prepared(request, "account_reader")
    (after,) = page.place(UUID) or (None,)
    found = await reader.accounts(AccountFilter(q, lead_id, min_score, after, page.limit))
    shown = found[: page.limit]
    items = [account_in_list(stored, request.app.state.models) for stored in shown]
    return paginate(request, items, (shown[-1].id,) if len(found) > page.limit else None)


@router.get(
    "/v1/accounts/{account_id}",
    summary="One account with its people, best first",
    responses={200: {"model": AccountWithContacts}},
)
async def get_account(request: Request, account_id: str, at: AtQuery) -> dict[str, Any]:
    """The account of its present contacts, each evaluated at the instant asked for."""
    reader: AccountReader = prepared(request, "account_reader")
    found = await reader.account(account_id, at)
    if found is None:
        raise ProblemError(404, "account_not_found", "There is no account with this id.")
    return account_out(found, request.app.state.models, at)
