"""HTTP of explanations."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from services.scoring.core.knowledge import OCCURRED, Knowledge
from services.scoring.entering import not_found
from services.scoring.explaining import Explainer, Question
from services.scoring.explanation_views import ExplanationView
from services.scoring.explanations import explanation_out
from services.scoring.routes import AtQuery
from shared.backend import prepared
from shared.codec import encode
from shared.errors import FieldFault, ProblemError
from shared.web import instant_in, require

router = APIRouter(tags=["leads"], dependencies=[Depends(require("leads:read"))])


def since_of(
    since: Annotated[
        str | None,
        Query(
            alias="from",
            max_length=64,
            description="RFC 3339; also say what is different at `at` from then.",
            examples=["2026-11-13T09:00:00+09:00"],
        ),
    ] = None,
) -> datetime | None:
    """Dependency: the earlier instant of a difference. Raises ProblemError 422."""
    return None if since is None else instant_in(since, "/query/from")


@router.get(
    "/v1/leads/{lead_id}/explanation",
    summary="Why a lead has its score: every entry, what was denied, what changes next",
    responses={200: {"model": ExplanationView}},
)
async def explain_lead(
    request: Request,
    lead_id: str,
    at: AtQuery,
    since: Annotated[datetime | None, Depends(since_of)],
    knowledge: Annotated[
        Knowledge,
        Query(description="`occurred`: by what had happened by then. `recorded`: by what was stored by then."),
    ] = OCCURRED,
    model: Annotated[str | None, Query(max_length=64, description="Another model than the primary.")] = None,
    entries: Annotated[int, Query(ge=1, le=100_000, description="So many of the newest entries of each rule.")] = 1_000,
) -> Response:
    """The lead as of an instant under the version of the model in force then; a merged id answers with the survivor."""
    if since is not None and since > at:
        fault = FieldFault("/query/from", "expected an instant not after `at`")
        raise ProblemError(422, "invalid_parameter", "A parameter cannot be used.", [fault])
    explainer: Explainer = prepared(request, "explainer")
    name = model or request.app.state.models.primary.name
    found = await explainer.explain(Question(lead_id, at, name, knowledge, since))
    if found is None:
        raise not_found()
    return Response(encode(explanation_out(found, entries)), media_type="application/json")
