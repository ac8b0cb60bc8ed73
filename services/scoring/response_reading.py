"""What the report on responses reads: who got a mail, who clicked in it, who had an appointment afterwards."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.scoring.core.responses import ResponseQuestion, Responses
from shared.shares import Share

# A later verdict takes an earlier one back, so only the latest of a click counts.
_QUERY = text("""
WITH sent AS (
    SELECT lead_id, min(occurred_at) AS at FROM scoring.activity
    WHERE type = 'email_delivered'
      AND (CAST(:email_id AS text) IS NULL OR body->'properties'->>'email_id' = :email_id)
      AND (CAST(:campaign AS text) IS NULL OR body->'properties'->>'campaign' = :campaign)
      AND (CAST(:start AS timestamptz) IS NULL OR occurred_at >= :start)
      AND (CAST(:end AS timestamptz) IS NULL OR occurred_at < :end)
    GROUP BY lead_id
), clicked AS (
    SELECT DISTINCT a.lead_id FROM scoring.activity a JOIN sent ON sent.lead_id = a.lead_id
    WHERE a.type = 'email_clicked' AND a.occurred_at >= sent.at
      AND (CAST(:email_id AS text) IS NULL OR a.body->'properties'->>'email_id' = :email_id)
      AND (CAST(:campaign AS text) IS NULL OR a.body->'properties'->>'campaign' = :campaign)
      AND (CAST(:link AS text) IS NULL OR strpos(a.body->'properties'->>'link', :link) > 0)
      AND NOT coalesce((a.body->'flags')::jsonb ?| ARRAY['suspected', 'scan'], false)
      AND coalesce((
          SELECT v.verdict FROM scoring.verdict v WHERE v.source = a.source AND v.id = a.id
          ORDER BY v.recorded_at DESC, v.detector DESC LIMIT 1
      ), 'unknown') NOT IN ('suspected', 'scan')
), met AS (
    SELECT DISTINCT a.lead_id FROM scoring.activity a JOIN sent ON sent.lead_id = a.lead_id
    WHERE a.type = ANY(CAST(:appointments AS text[])) AND a.occurred_at > sent.at
      AND a.occurred_at <= sent.at + CAST(:within AS interval)
)
SELECT clicked.lead_id IS NOT NULL AS responded, count(*), count(met.lead_id)
FROM sent LEFT JOIN clicked ON clicked.lead_id = sent.lead_id LEFT JOIN met ON met.lead_id = sent.lead_id
GROUP BY 1
""")

_REMOVED = text("SELECT max(cut) FROM scoring.retention WHERE activities > 0")


class ResponseReader:
    """Reads for the report; a call is one transaction that looks through the activities of the mail."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def responses(self, question: ResponseQuestion) -> Responses:
        """Count the leads that got the mail."""
        asked = {
            "email_id": question.email_id,
            "campaign": question.campaign,
            "link": question.link,
            "appointments": list(question.appointments),
            "within": question.within,
            "start": question.start,
            "end": question.end,
        }
        async with self._engine.connect() as conn:
            rows = (await conn.execute(_QUERY, asked)).all()
            cut = (await conn.execute(_REMOVED)).scalar_one()
        shares = {responded: Share(met, leads) for responded, leads, met in rows}
        return Responses(shares.get(True, Share(0, 0)), shares.get(False, Share(0, 0)), cut)
