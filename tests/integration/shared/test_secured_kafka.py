"""A broker that asks for TLS and a password: our clients reach it, and only with the right ones."""

import uuid
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from deploy.local import ports
from deploy.local.kafka import HOST, KafkaProgram
from deploy.local.provision import provision
from deploy.local.report import Silent
from deploy.local.supervisor import Supervised
from shared.clock import system_clock
from shared.errors import TransientError
from shared.kafka.admin import ensure_topics
from shared.kafka.client import client_options
from shared.kafka.reading import reading
from shared.settings import KafkaSettings
from shared.topics import Topic

USER, PASSWORD = "ingest", "a pass word"
JAAS = "org.apache.kafka.common.security.plain.PlainLoginModule required"


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaSettings]:
    """The settings of a broker with a listener for TLS and SASL/PLAIN beside its internal one."""
    provision(Silent())
    folder = tmp_path_factory.mktemp("secured")
    key, certificate = self_signed()
    (folder / "ca.pem").write_text(certificate, encoding="ascii")
    block = ports.free_block()
    secure = block.services["ingest"]
    extra = {
        "listeners": f"PLAINTEXT://{HOST}:{block.kafka},CONTROLLER://{HOST}:{block.controller},SASL_SSL://{HOST}:{secure}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{block.kafka},SASL_SSL://{HOST}:{secure}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL",
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.sasl_ssl.plain.sasl.jaas.config": f'{JAAS} user_{USER}="{PASSWORD}";',
        "ssl.keystore.type": "PEM",
        "ssl.keystore.key": key.replace("\n", "\\n"),
        "ssl.keystore.certificate.chain": certificate.replace("\n", "\\n"),
    }
    program = KafkaProgram(folder / "kafka", block.kafka, block.controller, extra=extra)
    process = Supervised(program, folder / "kafka.log")
    process.start()
    try:
        process.wait_ready(60.0)
        yield KafkaSettings(
            bootstrap_servers=f"{HOST}:{secure}",
            security_protocol="SASL_SSL",
            sasl_mechanism="PLAIN",
            sasl_username=USER,
            sasl_password=SecretStr(PASSWORD),
            ssl_cafile=folder / "ca.pem",
            partitions=2,
        )
    finally:
        process.stop(5.0)


def self_signed() -> tuple[str, str]:
    """A private key and a certificate for the loopback address, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kizashi-test")])
    now = system_clock()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private.decode(), certificate.public_bytes(pem).decode()


async def test_topics_records_and_reading_work_over_tls_with_a_password(secured: KafkaSettings) -> None:
    topic = f"secured-{uuid.uuid4().hex}"
    await ensure_topics(secured, [Topic(topic, ("test",), 1)])
    producer = AIOKafkaProducer(**client_options(secured), acks="all", enable_idempotence=True)
    await producer.start()
    try:
        await producer.send_and_wait(topic, b"value", key=b"key")
    finally:
        await producer.stop()
    async with reading(secured, topic) as opened:
        found = [record.value async for records in opened.until_end() for record in records]
    assert found == [b"value"]


@pytest.mark.parametrize(
    "wrong",
    [{"sasl_password": SecretStr("another")}, {"ssl_cafile": None}, {"security_protocol": "PLAINTEXT"}],
    ids=["password", "authority", "protocol"],
)
async def test_it_is_not_reached_with_the_wrong(
    secured: KafkaSettings, wrong: dict[str, object], tmp_path: Path
) -> None:
    if wrong.get("ssl_cafile", "") is None:
        _, other = self_signed()
        (tmp_path / "other.pem").write_text(other, encoding="ascii")
        wrong = {"ssl_cafile": tmp_path / "other.pem"}
    with pytest.raises(TransientError):
        await ensure_topics(secured.model_copy(update=wrong), [Topic("never", (), 1)])
