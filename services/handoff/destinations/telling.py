"""Parcels for people: what stands in a mail or a chat."""

from zoneinfo import ZoneInfo

from services.handoff.core.messages import Message, message_of
from services.handoff.destinations.base import Parcel


async def message_for(parcel: Parcel, language: str, timezone: str, limit: int) -> Message:
    """What a parcel says to people; of a run at most `limit` leads stand in it."""
    leads = await parcel.run.first(limit) if parcel.run else ()
    count = await parcel.run.count() if parcel.run else 0
    return message_of(
        parcel.type,
        parcel.data,
        language=language,
        zone=ZoneInfo(timezone),
        leads=leads,
        count=count,
        test=parcel.test,
    )
