"""Stored destinations made ready to be sent to: the one place that knows every kind."""

import ssl
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import httpcore2
from pydantic import ValidationError

from services.handoff.core.destination import FolderSpec, MailSpec, SlackSpec, WebhookSpec, read_spec
from services.handoff.delivery_repository import Stored
from services.handoff.destinations.base import Channel, Parcel, Report
from services.handoff.destinations.folder import FolderChannel
from services.handoff.destinations.mail import MailChannel
from services.handoff.destinations.slack import SlackChannel
from services.handoff.destinations.webhook import WebhookChannel
from services.handoff.settings import HandoffSettings
from services.handoff.vault import Vault
from shared.clock import from_rfc3339
from shared.outgoing import Outgoing, Rules

MAX_ANSWER = 65_536
"""So much of an answer is read; its status is what counts."""


class Channels:
    """Opens destinations. `addresses` are those of the members of all queues, by name."""

    def __init__(self, settings: HandoffSettings, vault: Vault, addresses: Mapping[str, str]) -> None:
        self._settings = settings
        self._vault = vault
        self._addresses = addresses
        self.rules = Rules.of(settings.outgoing.allow)
        self._tls: ssl.SSLContext | None = None

    def open(self, stored: Stored) -> Channel:
        """A channel of its own, with connections of its own: no destination waits for another's."""
        secrets = self._vault.open(stored.secrets)
        if secrets is None:
            return _Closed("its secrets were sealed with another KIZASHI_IDENTITY_SECRET; give them again")
        try:
            spec = read_spec({**stored.spec, **secrets["hidden"]})
        except ValidationError:
            return _Closed("its fields are not as they must be any more; change them by PATCH")
        match spec:
            case WebhookSpec():
                return WebhookChannel(spec, signing_secrets(secrets), self._outgoing())
            case SlackSpec():
                return SlackChannel(spec, self._outgoing())
            case MailSpec():
                settings = self._settings
                return MailChannel(spec, settings.smtp, self._addresses, settings.handoff.delivery_timeout_s)
            case FolderSpec():
                return FolderChannel(spec, self._settings.exports_path)

    def _outgoing(self) -> Outgoing:
        if self._tls is None:
            self._tls = httpcore2.default_ssl_context()
        section = self._settings.handoff
        return Outgoing(
            self.rules, timeout_s=section.delivery_timeout_s, max_bytes=MAX_ANSWER, cut_off=True, tls=self._tls
        )


def signing_secrets(secrets: Mapping[str, Any]) -> list[tuple[str, datetime | None]]:
    """The signing secrets in force, newest first, and until when each is."""
    return [(one["secret"], from_rfc3339(one["until"]) if one["until"] else None) for one in secrets["signing"]]


class _Closed:
    """A destination that cannot be sent to, whatever is tried."""

    def __init__(self, problem: str) -> None:
        self._problem = problem

    async def send(self, parcel: Parcel, now: datetime) -> Report:  # noqa: ARG002 - nothing is sent
        return Report({}, problem=self._problem)

    async def aclose(self) -> None:
        """Nothing is open."""
