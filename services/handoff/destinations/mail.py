"""Mail by SMTP: plain text and HTML in one."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Any

import aiosmtplib

from services.handoff.core.destination import MailSpec
from services.handoff.core.rendering import html, plain_text
from services.handoff.destinations.base import MAX_ANSWER_TEXT, MAX_REQUEST_TEXT, Parcel, Report, shown_text
from services.handoff.destinations.telling import message_for
from services.handoff.settings import SmtpSection

MAX_LEADS = 200
_NAMED = ("owner", "head", "new_owner")


class MailChannel:
    """One mail destination; each attempt is a connection of its own."""

    def __init__(self, spec: MailSpec, smtp: SmtpSection, addresses: Mapping[str, str], timeout_s: float) -> None:
        self._spec = spec
        self._smtp = smtp
        self._addresses = addresses
        self._timeout_s = timeout_s

    async def send(self, parcel: Parcel, now: datetime) -> Report:
        """See Channel."""
        readers = self._readers(parcel)
        request: dict[str, Any] = {"method": "MAIL", "to": list(readers), "server": self._smtp.host}
        if not readers:
            why = "nobody to write to: the event names no member with an address, `to` is empty"
            return Report(request, problem=why, skipped=True)
        if self._smtp.host is None or self._smtp.sender is None:
            return Report(request, problem="no mail server: KIZASHI_SMTP__HOST and KIZASHI_SMTP__SENDER are not set")
        mail = await self._mail(parcel, readers, now)
        plain = mail.get_body(("plain",))
        assert plain is not None
        request |= {
            "headers": {name: str(mail[name]) for name in ("From", "To", "Subject", "Message-ID")},
            "body": plain.get_content()[:MAX_REQUEST_TEXT],
        }
        return await self._transmit(mail, readers, request)

    async def aclose(self) -> None:
        """See Channel."""

    def _readers(self, parcel: Parcel) -> Sequence[str]:
        """Whom to write to: those the event names, where that is wanted and their addresses are known."""
        if self._spec.to_owner:
            given = parcel.data.get("handoff")
            named = {**(given if isinstance(given, Mapping) else {}), **parcel.data}
            known = [self._addresses.get(str(named.get(role))) for role in _NAMED]
            found = list(dict.fromkeys(address for address in known if address))
            if found:
                return found
        return self._spec.to

    async def _mail(self, parcel: Parcel, readers: Sequence[str], now: datetime) -> EmailMessage:
        message = await message_for(parcel, self._spec.language, self._spec.timezone, MAX_LEADS)
        mail = EmailMessage(policy=SMTP)
        assert self._smtp.sender is not None
        mail["From"] = Address(self._smtp.sender_name, addr_spec=self._smtp.sender)
        mail["To"] = [Address(addr_spec=reader) for reader in readers]
        # Python folds between encoded words and loses the space there; one that does not break stays.
        mail["Subject"] = message.subject if message.subject.isascii() else message.subject.replace(" ", "\u00a0")
        mail["Date"] = format_datetime(now)
        # The same over all attempts, so that a mail server or a reader knows a repetition.
        mail["Message-ID"] = f"<{parcel.message_id}@{self._smtp.sender.rpartition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail["Content-Language"] = message.language
        mail.set_content(plain_text(message), cte="base64" if message.language == "ja" else "quoted-printable")
        mail.add_alternative(
            html(message), subtype="html", cte="base64" if message.language == "ja" else "quoted-printable"
        )
        return mail

    async def _transmit(self, mail: EmailMessage, readers: Sequence[str], request: Mapping[str, Any]) -> Report:
        smtp = self._smtp
        try:
            refused, said = await aiosmtplib.send(
                mail,
                sender=smtp.sender,
                recipients=list(readers),
                hostname=smtp.host,
                port=smtp.port,
                username=smtp.username,
                password=smtp.password.get_secret_value() if smtp.password else None,
                use_tls=smtp.security == "tls",
                start_tls=smtp.security == "starttls",
                timeout=self._timeout_s,
            )
        except aiosmtplib.SMTPResponseException as error:
            response = {"status": error.code, "body": shown_text(error.message.encode(), MAX_ANSWER_TEXT)}
            return Report(request, response, problem=f"the mail server answered {error.code}")
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = sorted({refusal.code for refusal in error.recipients})
            return Report(
                request, {"status": codes[0] if codes else None}, problem="the mail server refused all readers"
            )
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            return Report(request, problem=f"the mail server did not take it: {type(error).__name__}")
        # Somebody has it; sending it again would write to them twice, so those refused are only told of.
        return Report(
            request, {"status": 250, "body": shown_text(said.encode(), MAX_ANSWER_TEXT), "refused": sorted(refused)}
        )
