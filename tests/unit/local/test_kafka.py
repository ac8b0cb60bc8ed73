"""What the broker is told."""

import re

import pytest

from deploy.local import kafka
from deploy.local.jars import read_lock
from deploy.local.paths import KAFKA_LOCK


def test_cluster_id_never_looks_like_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter([b"\xf8" + bytes(15), b"\xfb" * 16, b"\x01" * 16])
    monkeypatch.setattr("secrets.token_bytes", lambda _: next(drawn))
    assert kafka.new_cluster_id() == "AQEBAQEBAQEBAQEBAQEBAQ"


def test_settings_keep_a_single_node_quick_and_strict() -> None:
    settings = kafka.BROKER_SETTINGS
    assert settings["auto.create.topics.enable"] == "false"
    assert settings["broker.session.timeout.ms"] == "1000"
    assert int(settings["producer.id.expiration.ms"]) == 7 * 86_400_000
    assert {value for name, value in settings.items() if name.endswith("replication.factor")} == {"1"}


def test_lock_pins_each_jar_once() -> None:
    jars = read_lock(KAFKA_LOCK)
    assert len({(jar.group, jar.artifact) for jar in jars}) == len(jars)
    assert len({jar.file_name for jar in jars}) == len(jars)
    assert all(re.fullmatch("[0-9a-f]{64}", jar.sha256) for jar in jars)
    assert "kafka_2.13-4.4.0.jar" in {jar.file_name for jar in jars}
