"""Mail over TLS: by STARTTLS and from the first byte, to a real server whose certificate is checked."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal

import pytest
from aiosmtpd.smtp import SMTP
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from services.handoff.settings import SmtpSection
from tests.integration.handoff.post_office import open_post_office, qualified, utc_now
from tests.integration.handoff.test_other_destinations import Mailbox

Security = Literal["starttls", "tls", "none"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate of its own for 127.0.0.1, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail of the tests")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(utc_now() - timedelta(days=1))
        .not_valid_after(utc_now() + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("mail") / "server.pem"
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    path.write_bytes(key.private_bytes(encoding, form, serialization.NoEncryption()) + made.public_bytes(encoding))
    return path


@asynccontextmanager
async def mail_server(certificate: Path, *, starttls: bool, tls: bool) -> AsyncIterator[tuple[Mailbox, int]]:
    """One that takes nothing in the clear, unless it knows neither."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    box, sessions = Mailbox(), list[SMTP]()

    def serve() -> SMTP:
        told: dict[str, Any] = {"tls_context": context, "require_starttls": True} if starttls else {}
        sessions.append(SMTP(box, hostname="test", **told))
        return sessions[-1]

    server = await asyncio.get_running_loop().create_server(serve, "127.0.0.1", 0, ssl=context if tls else None)
    try:
        yield box, server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for one in sessions:
            if isinstance(one.transport, asyncio.Transport):
                one.transport.abort()
        await server.wait_closed()


async def attempt(migrated: str, folder: Path, port: int, security: Security) -> dict[str, Any]:
    """What became of the first attempt at one mail."""
    smtp = SmtpSection(host="127.0.0.1", port=port, security=security, sender="leads@example.co.jp")
    office = await open_post_office(migrated, folder, smtp=smtp)
    try:
        async with office.sending():
            id_ = await office.make(kind="mail", name="desk", to=["desk@example.co.jp"])
            await office.publish(qualified())
            return (await office.until_attempts(id_, 1))[0]
    finally:
        await office.pool.close()


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_mail_goes_over_tls(
    migrated: str, tmp_path: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch, security: Security
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with mail_server(certificate, starttls=security == "starttls", tls=security == "tls") as (box, port):
        made = await attempt(migrated, tmp_path, port, security)
        assert (made["outcome"], len(box.mails)) == ("delivered", 1)


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_certificate_that_nobody_vouches_for_gets_no_mail(
    migrated: str, tmp_path: Path, certificate: Path, security: Security
) -> None:
    async with mail_server(certificate, starttls=security == "starttls", tls=security == "tls") as (box, port):
        made = await attempt(migrated, tmp_path, port, security)
    assert made["problem"].startswith("the mail server did not take it")
    assert box.mails == []


async def test_a_server_without_starttls_gets_nothing_in_the_clear(
    migrated: str, tmp_path: Path, certificate: Path
) -> None:
    async with mail_server(certificate, starttls=False, tls=False) as (box, port):
        made = await attempt(migrated, tmp_path, port, "starttls")
    assert made["outcome"] == "failed"
    assert box.mails == []
