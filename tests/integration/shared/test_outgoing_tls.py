"""The certificate must be that of the name asked for, although the connection is made to a checked address."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from shared.outgoing import Call, Outgoing, Rules, Unanswered
from shared.outgoing.client import Resolve
from tests.integration.stand_in import StandIn, json

HOST = "hooks.example.com"


def certificate(folder: Path) -> Path:
    """A key and its own certificate for HOST, in one file."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + made.public_bytes(Encoding.PEM))
    return path


@asynccontextmanager
async def serving(pem: Path) -> AsyncIterator[StandIn]:
    """The stand-in behind TLS."""
    stand_in = StandIn(plan=[json({})])
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(pem)
    server = await asyncio.start_server(stand_in.serve, "127.0.0.1", 0, ssl=own)
    stand_in.port = server.sockets[0].getsockname()[1]
    try:
        yield stand_in
    finally:
        server.close()
        await server.wait_closed()


async def to_loopback(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


@pytest.mark.parametrize(
    ("host", "trusted", "why"),
    [
        (HOST, True, None),
        ("evil.example.com", True, "the certificate is for another name"),
        (HOST, False, "the certificate is signed by itself"),
    ],
)
async def test_the_certificate_is_that_of_the_name(tmp_path: Path, host: str, trusted: bool, why: str | None) -> None:
    pem = certificate(tmp_path)
    async with serving(pem) as server:
        tls = ssl.create_default_context(cafile=str(pem)) if trusted else None
        outgoing = Outgoing(Rules(frozenset({f"{host}:{server.port}"})), resolver=to_loopback, tls=tls)
        call = Call("GET", f"https://{host}:{server.port}/x")
        if why is None:
            assert (await outgoing.send(call)).status == 200
        else:
            with pytest.raises(Unanswered) as caught:
                await outgoing.send(call)
            assert str(caught.value) == why
        await outgoing.aclose()
    assert [asked.path for asked in server.asked] == ["/x"] * (why is None)


async def not_found(host: str, port: int) -> list[str]:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.mark.parametrize(
    ("scheme", "resolver", "why"),
    [
        ("http", to_loopback, "the connection was refused"),
        ("https", not_found, "the name cannot be resolved"),
    ],
)
async def test_a_connection_that_does_not_come_about_says_why(scheme: str, resolver: Resolve, why: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    outgoing = Outgoing(Rules(frozenset({f"{HOST}:{port}"})), resolver=resolver)
    with pytest.raises(Unanswered) as caught:
        await outgoing.send(Call("GET", f"{scheme}://{HOST}:{port}/x"))
    assert str(caught.value) == why


async def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    writer.close()


async def test_a_server_without_tls_says_so() -> None:
    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    outgoing = Outgoing(Rules(frozenset({f"{HOST}:{port}"})), resolver=to_loopback)
    with pytest.raises(Unanswered) as caught:
        await outgoing.send(Call("GET", f"https://{HOST}:{port}/x"))
    server.close()
    assert str(caught.value) == "the TLS handshake failed"
