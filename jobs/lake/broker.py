"""How every client of Kafka proves who it is: kafka-python's options and those of Spark's source, from one place.

A password stays in its file. kafka-python is handed it in memory; Spark is handed the file's name, and Kafka's own
client inside Spark opens it, so that the password is in no plan, no page and no log of Spark.
"""

import re
from pathlib import Path
from typing import Any

from jobs.lake.errors import SettingsError
from jobs.lake.file_topics import SCHEME
from jobs.lake.settings import Settings

LINE = re.compile(r"\s*(?P<name>[\w.]+)\s*[=:]\s*(?P<value>.*?)\s*")
MODULES = {"PLAIN": "plain.PlainLoginModule", "SCRAM-SHA-256": "scram.ScramLoginModule",
           "SCRAM-SHA-512": "scram.ScramLoginModule"}  # fmt: skip
FILES = "org.apache.kafka.common.config.provider.FileConfigProvider"
SPECIAL = set("\\\"'${}")  # have a meaning in Java's properties or in a login line


def client_options(settings: Settings) -> dict[str, Any]:
    """Of kafka-python's clients: the address, and how to log in there; SettingsError for what cannot work."""
    if settings.kafka_bootstrap_servers.startswith(SCHEME):
        raise SettingsError(
            f"KAFKA_BOOTSTRAP_SERVERS: {settings.kafka_bootstrap_servers} are topics in files, which only drills write "
            "and ingest reads; name a broker"
        )
    found: dict[str, Any] = {"bootstrap_servers": settings.bootstrap}
    protocol = settings.kafka_security_protocol
    if protocol != "PLAINTEXT":
        found["security_protocol"] = protocol
    if protocol.startswith("SASL"):
        user, password = _credentials(settings)
        mechanism = settings.kafka_sasl_mechanism
        found |= {"sasl_mechanism": mechanism, "sasl_plain_username": user, "sasl_plain_password": password}
    if protocol.endswith("SSL"):
        named = {"ssl_cafile": settings.kafka_ca_file, "ssl_certfile": settings.kafka_certificate_file}
        found |= {name: str(_there(path)) for name, path in named.items() if path}
    return found


def source_options(settings: Settings) -> dict[str, str]:
    """Of Spark's Kafka source, the prefix `kafka.` included; files are opened by Spark's driver and workers."""
    found, protocol = {"bootstrap.servers": settings.bootstrap}, settings.kafka_security_protocol
    if protocol != "PLAINTEXT":
        found["security.protocol"] = protocol
    if protocol.startswith("SASL"):
        _credentials(settings)  # a file that cannot be read is told here, not by a worker
        told = " ".join(
            f'{name}="${{file:{settings.kafka_credentials_file}:{name}}}"' for name in ("username", "password")
        )
        module = f"org.apache.kafka.common.security.{MODULES[settings.kafka_sasl_mechanism]}"
        found |= {
            "sasl.mechanism": settings.kafka_sasl_mechanism,
            "sasl.jaas.config": f"{module} required {told};",
            "config.providers": "file",
            "config.providers.file.class": FILES,
        }
    if protocol.endswith("SSL"):
        for store, path in (("truststore", settings.kafka_ca_file), ("keystore", settings.kafka_certificate_file)):
            if path:
                found |= {f"ssl.{store}.type": "PEM", f"ssl.{store}.location": str(_there(path))}
    return {f"kafka.{name}": value for name, value in found.items()}


def remedy(settings: Settings) -> str:
    """What to try when the broker is silent: kafka-python tells a wrong password as a broker that never answers."""
    if settings.kafka_security_protocol.startswith("SASL"):
        return "check KAFKA_BOOTSTRAP_SERVERS, and the password in REELHOUSE_KAFKA_CREDENTIALS_FILE"
    if settings.kafka_security_protocol == "SSL":
        return "check KAFKA_BOOTSTRAP_SERVERS, REELHOUSE_KAFKA_CA_FILE and REELHOUSE_KAFKA_CERTIFICATE_FILE"
    return "check KAFKA_BOOTSTRAP_SERVERS" if settings.kafka_bootstrap_servers else "run `make up`"


def _credentials(settings: Settings) -> tuple[str, str]:
    """User and password out of their file, lines of `username=…` and `password=…`."""
    path = settings.kafka_credentials_file
    if path is None:
        raise SettingsError("REELHOUSE_KAFKA_CREDENTIALS_FILE: is missing; name a file with username=… and password=…")
    lines = [LINE.fullmatch(line) for line in _there(path).read_text(encoding="utf-8").splitlines()]
    told = {line["name"]: line["value"] for line in lines if line}
    for name in ("username", "password"):
        if not told.get(name):
            raise SettingsError(f"{path}: has no line {name}=…")
        if odd := sorted(SPECIAL & set(told[name])):
            raise SettingsError(
                f"{path}: the {name} has {odd[0]} in it, which Kafka's login line cannot hold; change it"
            )
    return told["username"], told["password"]


def _there(path: Path) -> Path:
    if not path.is_file():
        raise SettingsError(f"{path}: there is no such file; see the Kafka part of docs/deploying.md")
    return path
