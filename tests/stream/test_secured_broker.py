"""A broker that asks who one is, over TLS: we and Spark get in by the right password or certificate, and only then."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12

from jobs.drills.broker import free_ports
from jobs.drills.scratch import begin
from jobs.lake import topics
from jobs.lake.broker import source_options
from jobs.lake.clock import now
from jobs.lake.errors import BrokerError
from jobs.lake.java import good_java
from jobs.lake.ledger import Ledger
from jobs.lake.services import control
from jobs.lake.services.kafka import Kafka
from jobs.lake.settings import Settings
from jobs.lake.topics import end_offsets, times_of
from jobs.produce.producer import Producer
from tests.lake.logs import NOON, body_of

PASSWORD, WRONG = "let-me-in", "let-me-out"
LISTENER, CERTIFIED = "listener.name.secured", "listener.name.certified"
STAMPED = ("event_id", "event_time", "sent_time", "producer")


class Guarded(Kafka):
    """Our Kafka with two more doors that are guarded: one asks for a password, one for a certificate."""

    door: int
    second: int
    store: Path
    known: Path

    def _places(self) -> str:
        plain = super()._places()
        door = f"SECURED://127.0.0.1:{self.door},CERTIFIED://127.0.0.1:{self.second}"
        plain = plain.replace("\nlisteners=", f"\nlisteners={door},")
        plain = plain.replace("\nadvertised.listeners=", f"\nadvertised.listeners={door},")
        return plain + "\n".join(
            (
                "listener.security.protocol.map=CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURED:SASL_SSL,CERTIFIED:SSL",
                f"{LISTENER}.sasl.enabled.mechanisms=SCRAM-SHA-512",
                f"{LISTENER}.scram-sha-512.sasl.jaas.config="
                "org.apache.kafka.common.security.scram.ScramLoginModule required;",
                *self._own_certificate(LISTENER),
                *self._own_certificate(CERTIFIED),
                f"{CERTIFIED}.ssl.client.auth=required",
                f"{CERTIFIED}.ssl.truststore.type=PEM",
                f"{CERTIFIED}.ssl.truststore.location={self.known}\n",
            )
        )

    def _own_certificate(self, listener: str) -> Iterator[str]:
        stored = {"type": "PKCS12", "location": self.store, "password": PASSWORD}
        return (f"{listener}.ssl.keystore.{name}={value}" for name, value in stored.items())

    def let_in(self, user: str) -> None:
        """Make the user known to the broker."""
        from kafka.admin import KafkaAdminClient, ScramMechanism, UserScramCredentialUpsertion

        admin = KafkaAdminClient(bootstrap_servers=self.address)
        known = UserScramCredentialUpsertion(user, ScramMechanism.SCRAM_SHA_512, PASSWORD.encode())
        assert admin.alter_user_scram_credentials([known]) == {user: None}
        admin.close()


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A key store for 127.0.0.1, and the certificate that vouches for itself, as PEM."""
    store, pem = folder / f"{name}.p12", folder / f"{name}.pem"
    tool = str(good_java().command.with_name("keytool"))
    common = ["-keystore", str(store), "-storetype", "PKCS12", "-storepass", PASSWORD, "-alias", name]
    made = ["-genkeypair", "-keyalg", "EC", "-dname", "CN=127.0.0.1", "-ext", "san=ip:127.0.0.1", "-validity", "30"]
    subprocess.run([tool, *made, *common], check=True, capture_output=True)
    subprocess.run([tool, "-exportcert", "-rfc", "-file", str(pem), *common], check=True, capture_output=True)
    return store, pem


def both_in_one(store: Path) -> Path:
    """Key and certificate of a store in one PEM, as docs/deploying.md asks for."""
    key, own, _ = pkcs12.load_key_and_certificates(store.read_bytes(), PASSWORD.encode())
    assert key is not None
    assert own is not None
    pem = store.with_suffix(".both.pem")
    pem.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + own.public_bytes(Encoding.PEM)
    )
    return pem


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory, warm_spark: str) -> Iterator[Settings]:
    """Settings that lead through the guarded door, with the right password."""
    folder = tmp_path_factory.mktemp("secured")
    client, controller, door, second = free_ports(4)
    store, pem = certificate(folder, "broker")
    ours, known = certificate(folder, "client")
    settings = Settings(
        home=folder, kafka_bootstrap_servers="", kafka_port=client, kafka_controller_port=controller,
        kafka_memory_mb=384, spark_remote=warm_spark, spark_master="",
    )  # fmt: skip
    broker = Guarded(settings)
    broker.door, broker.second, broker.store, broker.known = door, second, store, known
    login = folder / "login.properties"
    login.write_text(f"username=reelhouse\npassword={PASSWORD}\n")
    try:
        control.up([broker], lambda name, news: None)
        broker.let_in("reelhouse")
        named = {"kafka_bootstrap_servers": f"127.0.0.1:{door}", "kafka_security_protocol": "SASL_SSL"}
        ours = both_in_one(ours)
        yield settings.model_copy(
            update=named | {"kafka_credentials_file": login, "kafka_ca_file": pem, "kafka_certificate_file": ours}
        )
    finally:
        control.down([broker], lambda name, news: None)


@pytest.fixture
def certified(secured: Settings) -> Settings:
    """Settings that lead through the door that asks for a certificate, with the right one."""
    doors = re.findall(r"CERTIFIED://(127.0.0.1:\d+)", (Kafka(secured).folder / "server.properties").read_text())
    named = {"kafka_bootstrap_servers": doors[0], "kafka_security_protocol": "SSL", "kafka_credentials_file": None}
    return secured.model_copy(update=named)


def send(settings: Settings, numbers: range) -> None:
    with Producer(settings, source="app:test", spool=settings.home / "spool") as producer:
        for number in numbers:
            body = body_of("views", number, NOON, user_id=f"u{number}")
            assert producer.send("views", {name: value for name, value in body.items() if name not in STAMPED})


def test_events_go_in_and_into_the_lake_and_the_password_goes_nowhere(secured: Settings) -> None:
    send(secured, range(5))
    ends = end_offsets(secured, ["views"])["views"]
    assert sum(ends.values()) == 5
    firsts = {("views", number): 0 for number, end in ends.items() if end}
    taken = times_of(secured, firsts)  # by the broker's clock, not by the events'
    assert taken.keys() == firsts.keys()
    assert all(timedelta(0) <= now() - at < timedelta(minutes=5) for at in taken.values())
    process = begin(secured, "ingest")
    printed, said = process.communicate(timeout=300)
    assert process.returncode == 0, f"{printed}\n{said}"
    assert sum(line["accepted"] for line in Ledger(secured).read("ops.books").to_pylist()) == 5
    assert PASSWORD not in printed + said + json.dumps(source_options(secured))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is not let in is not answered: wait some seconds, many times what the right password takes."""
    monkeypatch.setattr(topics, "PATIENCE_MS", 3_000)


@pytest.mark.usefixtures("impatient")
def test_a_wrong_password_is_told(secured: Settings, tmp_path: Path) -> None:
    login = tmp_path / "login.properties"
    login.write_text(f"username=reelhouse\npassword={WRONG}\n")
    with pytest.raises(BrokerError, match="REELHOUSE_KAFKA_CREDENTIALS_FILE") as refused:
        end_offsets(secured.model_copy(update={"kafka_credentials_file": login}))
    assert WRONG not in str(refused.value)


def test_a_certificate_opens_the_door_for_our_clients_and_for_spark(certified: Settings) -> None:
    """After the test of passwords, on the same topics: two more views, and the lake that read the others goes on."""
    before = sum(end_offsets(certified, ["views"])["views"].values())
    send(certified, range(5, 7))
    assert sum(end_offsets(certified, ["views"])["views"].values()) == before + 2
    process = begin(certified, "ingest")
    printed, said = process.communicate(timeout=300)
    assert process.returncode == 0, f"{printed}\n{said}"
    accepted = sum(line["accepted"] for line in Ledger(certified).read("ops.books").to_pylist())
    assert accepted == before + 2


@pytest.mark.usefixtures("impatient")
def test_without_a_certificate_the_door_stays_shut(certified: Settings) -> None:
    with pytest.raises(BrokerError, match="REELHOUSE_KAFKA_CERTIFICATE_FILE"):
        end_offsets(certified.model_copy(update={"kafka_certificate_file": None}))
