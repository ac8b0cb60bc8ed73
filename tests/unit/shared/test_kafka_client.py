import ssl
from pathlib import Path

import pytest
from pydantic import SecretStr

from shared.kafka.client import client_options
from shared.settings import KafkaSettings, Settings, load


def test_plain_text_needs_the_address_alone() -> None:
    options = client_options(KafkaSettings(bootstrap_servers="a:1,b:2"))
    assert options == {"bootstrap_servers": "a:1,b:2", "security_protocol": "PLAINTEXT"}


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_sasl_comes_from_the_environment(tmp_path: Path, mechanism: str) -> None:
    secret = tmp_path / "password"
    secret.write_text("se cret\n")
    settings = load(
        Settings,
        {
            "KIZASHI_KAFKA__SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "KIZASHI_KAFKA__SASL_MECHANISM": mechanism,
            "KIZASHI_KAFKA__SASL_USERNAME": "ingest",
            "KIZASHI_KAFKA__SASL_PASSWORD_FILE": str(secret),
        },
    )
    options = client_options(settings.kafka)
    assert options["security_protocol"] == "SASL_PLAINTEXT"
    assert options["sasl_mechanism"] == mechanism
    assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("ingest", "se cret")
    assert "ssl_context" not in options


def test_tls_checks_the_server() -> None:
    options = client_options(KafkaSettings(security_protocol="SASL_SSL", sasl_password=SecretStr("x")))
    context = options["ssl_context"]
    assert isinstance(context, ssl.SSLContext)
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname


def test_a_missing_certificate_is_told(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        client_options(KafkaSettings(security_protocol="SSL", ssl_cafile=tmp_path / "ca.pem"))
