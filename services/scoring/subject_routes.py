"""HTTP of what is stored of one person."""

from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from services.scoring.entering import not_found
from services.scoring.routes import AtQuery
from services.scoring.subject_views import ConsentView, ExportView
from services.scoring.subjects import SubjectReader
from shared.backend import prepared
from shared.codec import encode
from shared.web import require

router = APIRouter(tags=["leads"], dependencies=[Depends(require("leads:read"))])


@router.get(
    "/v1/leads/{lead_id}/consent",
    summary="What a lead agreed to, with the proof",
    responses={200: {"model": ConsentView}},
)
async def get_consent(request: Request, lead_id: str, at: AtQuery) -> dict[str, Any]:
    """Per purpose what is in force at an instant, and every word about it, the latest first."""
    reader: SubjectReader = prepared(request, "subjects")
    found = await reader.consent(lead_id, at)
    if found is None:
        raise not_found()
    return found


@router.get(
    "/v1/leads/{lead_id}/export",
    summary="Everything stored of one person",
    responses={200: {"model": ExportView}},
)
async def get_export(request: Request, lead_id: str, at: AtQuery) -> Response:
    """For the person: activities with verdicts, consent, entries, merges, and the scores with their reasons."""
    reader: SubjectReader = prepared(request, "subjects")
    found = await reader.export(lead_id, at)
    if found is None:
        raise not_found()
    headers = {"Content-Disposition": f'attachment; filename="{found["lead"]["id"]}.json"'}
    return Response(encode(found), media_type="application/json", headers=headers)
