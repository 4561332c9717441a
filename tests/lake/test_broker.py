"""What clients of Kafka are told: no more than the broker asks for, and no password where others read it."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.lake.broker import client_options, source_options
from jobs.lake.errors import SettingsError
from jobs.lake.settings import Settings


def settings(folder: Path, login: str = "username=reel\npassword=a=b:c\n", **named: object) -> Settings:
    """Of a guarded broker."""
    (folder / "login.properties").write_text(login)
    (folder / "ca.pem").write_text("-----BEGIN CERTIFICATE-----")
    told = {"kafka_security_protocol": "SASL_SSL", "kafka_credentials_file": folder / "login.properties",
            "kafka_ca_file": folder / "ca.pem", "kafka_bootstrap_servers": "broker:9092"}  # fmt: skip
    return Settings(home=folder, **(told | named))


def test_our_own_broker_asks_for_nothing(tmp_path: Path) -> None:
    plain = Settings(home=tmp_path, kafka_bootstrap_servers="", kafka_port=1, kafka_security_protocol="PLAINTEXT")
    assert client_options(plain) == {"bootstrap_servers": "127.0.0.1:1"}
    assert source_options(plain) == {"kafka.bootstrap.servers": "127.0.0.1:1"}


def test_python_is_handed_the_password_and_spark_the_name_of_its_file(tmp_path: Path) -> None:
    guarded = settings(tmp_path)
    assert client_options(guarded)["sasl_plain_password"] == "a=b:c"
    options = source_options(guarded)
    assert "a=b:c" not in str(options)
    assert f'password="${{file:{tmp_path}/login.properties:password}}";' in options["kafka.sasl.jaas.config"]
    assert options["kafka.ssl.truststore.location"] == str(tmp_path / "ca.pem")


@pytest.mark.parametrize(
    ("login", "message"),
    [
        ("username=reel\n", "has no line password="),
        ('username=reel\npassword=a"b\n', "cannot hold; change it"),
        ("username=reel\npassword=${env:HOME}\n", "cannot hold; change it"),
    ],
)
def test_a_login_that_cannot_work_is_refused(login: str, message: str, tmp_path: Path) -> None:
    for options in (client_options, source_options):
        with pytest.raises(SettingsError, match=message) as refused:
            options(settings(tmp_path, login))
        assert 'a"b' not in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="gone.pem"):
        client_options(settings(tmp_path, kafka_ca_file=tmp_path / "gone.pem"))
    with pytest.raises(SettingsError, match="REELHOUSE_KAFKA_CREDENTIALS_FILE: is missing"):
        client_options(settings(tmp_path, kafka_credentials_file=None))
