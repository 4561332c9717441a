"""A broker that asks who one is, over TLS: our clients and Spark's get in with the right password, and only then."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.drills.broker import free_ports
from jobs.drills.scratch import begin
from jobs.lake.broker import source_options
from jobs.lake.errors import BrokerError
from jobs.lake.java import good_java
from jobs.lake.ledger import Ledger
from jobs.lake.services import control
from jobs.lake.services.kafka import Kafka
from jobs.lake.settings import Settings
from jobs.lake.topics import end_offsets
from jobs.produce.producer import Producer
from tests.lake.logs import NOON, body_of

PASSWORD, WRONG = "let-me-in", "let-me-out"
LISTENER = "listener.name.secured"
STAMPED = ("event_id", "event_time", "sent_time", "producer")


class Guarded(Kafka):
    """Our Kafka with a second door that is guarded."""

    door: int
    store: Path

    def _places(self) -> str:
        plain = super()._places()
        door = f"SECURED://127.0.0.1:{self.door}"
        plain = plain.replace("\nlisteners=", f"\nlisteners={door},")
        plain = plain.replace("\nadvertised.listeners=", f"\nadvertised.listeners={door},")
        return plain + "\n".join(
            (
                "listener.security.protocol.map=CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURED:SASL_SSL",
                f"{LISTENER}.sasl.enabled.mechanisms=SCRAM-SHA-512",
                f"{LISTENER}.scram-sha-512.sasl.jaas.config="
                "org.apache.kafka.common.security.scram.ScramLoginModule required;",
                f"{LISTENER}.ssl.keystore.type=PKCS12",
                f"{LISTENER}.ssl.keystore.location={self.store}",
                f"{LISTENER}.ssl.keystore.password={PASSWORD}\n",
            )
        )

    def let_in(self, user: str) -> None:
        """Make the user known to the broker."""
        from kafka.admin import KafkaAdminClient, ScramMechanism, UserScramCredentialUpsertion

        admin = KafkaAdminClient(bootstrap_servers=self.address)
        known = UserScramCredentialUpsertion(user, ScramMechanism.SCRAM_SHA_512, PASSWORD.encode())
        assert admin.alter_user_scram_credentials([known]) == {user: None}
        admin.close()


def certificate(folder: Path) -> tuple[Path, Path]:
    """A key store for 127.0.0.1, and the certificate that vouches for itself, as PEM."""
    store, pem = folder / "broker.p12", folder / "broker.pem"
    tool = str(good_java().command.with_name("keytool"))
    common = ["-keystore", str(store), "-storetype", "PKCS12", "-storepass", PASSWORD, "-alias", "broker"]
    made = ["-genkeypair", "-keyalg", "EC", "-dname", "CN=127.0.0.1", "-ext", "san=ip:127.0.0.1", "-validity", "30"]
    subprocess.run([tool, *made, *common], check=True, capture_output=True)
    subprocess.run([tool, "-exportcert", "-rfc", "-file", str(pem), *common], check=True, capture_output=True)
    return store, pem


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory, warm_spark: str) -> Iterator[Settings]:
    """Settings that lead through the guarded door, with the right password."""
    folder = tmp_path_factory.mktemp("secured")
    client, controller, door = free_ports(3)
    store, pem = certificate(folder)
    settings = Settings(
        home=folder, kafka_bootstrap_servers="", kafka_port=client, kafka_controller_port=controller,
        kafka_memory_mb=384, spark_remote=warm_spark, spark_master="",
    )  # fmt: skip
    broker = Guarded(settings)
    broker.door, broker.store = door, store
    login = folder / "login.properties"
    login.write_text(f"username=reelhouse\npassword={PASSWORD}\n")
    try:
        control.up([broker], lambda name, news: None)
        broker.let_in("reelhouse")
        named = {"kafka_bootstrap_servers": f"127.0.0.1:{door}", "kafka_security_protocol": "SASL_SSL"}
        yield settings.model_copy(update=named | {"kafka_credentials_file": login, "kafka_ca_file": pem})
    finally:
        control.down([broker], lambda name, news: None)


def test_events_go_in_and_into_the_lake_and_the_password_goes_nowhere(secured: Settings) -> None:
    with Producer(secured, source="app:test", spool=secured.home / "spool") as producer:
        for number in range(5):
            body = body_of("views", number, NOON, user_id=f"u{number}")
            assert producer.send("views", {name: value for name, value in body.items() if name not in STAMPED})
    assert sum(end_offsets(secured, ["views"])["views"].values()) == 5
    process = begin(secured, "ingest")
    printed, said = process.communicate(timeout=300)
    assert process.returncode == 0, f"{printed}\n{said}"
    assert sum(line["accepted"] for line in Ledger(secured).read("ops.books").to_pylist()) == 5
    assert PASSWORD not in printed + said + json.dumps(source_options(secured))


def test_a_wrong_password_is_told(secured: Settings, tmp_path: Path) -> None:
    login = tmp_path / "login.properties"
    login.write_text(f"username=reelhouse\npassword={WRONG}\n")
    with pytest.raises(BrokerError, match="REELHOUSE_KAFKA_CREDENTIALS_FILE") as refused:
        end_offsets(secured.model_copy(update={"kafka_credentials_file": login}))
    assert WRONG not in str(refused.value)
