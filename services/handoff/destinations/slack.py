"""Incoming webhooks of Slack, and of chats that take the same."""

from datetime import datetime

from services.handoff.core.destination import SlackSpec
from services.handoff.core.rendering import slack_text
from services.handoff.destinations.base import Parcel, Report
from services.handoff.destinations.posting import host_of, post
from services.handoff.destinations.telling import message_for
from shared.codec import encode
from shared.outgoing import Call, Outgoing

MAX_LEADS = 50
MAX_TEXT = 35_000
"""Slack refuses texts of more than 40,000 characters."""


class SlackChannel:
    """One Slack destination."""

    def __init__(self, spec: SlackSpec, outgoing: Outgoing) -> None:
        self._spec = spec
        self._outgoing = outgoing

    async def send(self, parcel: Parcel, now: datetime) -> Report:
        """See Channel."""
        message = await message_for(parcel, self._spec.language, self._spec.timezone, MAX_LEADS)
        body = encode({"text": slack_text(message)[:MAX_TEXT]})
        call = Call("POST", self._spec.url, {"Content-Type": "application/json"}, body)
        return await post(self._outgoing, call, now, shown_url=host_of(self._spec.url))

    async def aclose(self) -> None:
        """See Channel."""
        await self._outgoing.aclose()
