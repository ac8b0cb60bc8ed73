"""Signed webhooks by Standard Webhooks 1.0."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from services.handoff.core.destination import WebhookSpec
from services.handoff.core.signing import signed_headers
from services.handoff.destinations.base import Parcel, Report
from services.handoff.destinations.posting import post
from shared.codec import encode
from shared.outgoing import Call, Outgoing
from shared.version import VERSION

AGENT = f"Kizashi/{VERSION}"


class WebhookChannel:
    """One webhook destination."""

    def __init__(self, spec: WebhookSpec, secrets: Sequence[tuple[str, datetime | None]], outgoing: Outgoing) -> None:
        self._url = spec.url
        self._headers = spec.headers
        self._hidden = frozenset(spec.headers)
        self._secrets = secrets
        self._outgoing = outgoing

    async def send(self, parcel: Parcel, now: datetime) -> Report:
        """See Channel."""
        body = body_of(parcel.type, parcel.time, parcel.value)
        valid = [secret for secret, until in self._secrets if until is None or now < until]
        if not valid:
            return Report({}, problem="there is no signing secret; make one by POST …/rotate")
        signed = signed_headers(parcel.message_id, now, body, valid)
        headers: Mapping[str, str] = {
            **self._headers,
            **signed,
            "Content-Type": "application/json",
            "User-Agent": AGENT,
        }
        return await post(self._outgoing, Call("POST", self._url, headers, body), now, hidden=self._hidden)

    async def aclose(self) -> None:
        """See Channel."""
        await self._outgoing.aclose()


def body_of(type_: str, time: str, value: bytes) -> bytes:
    """The body as Standard Webhooks recommends it; `value` is the event's data, JSON as it stands on the topic."""
    return b'{"type":%s,"timestamp":%s,"data":%s}' % (encode(type_), encode(time), value)
