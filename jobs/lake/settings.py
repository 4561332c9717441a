"""Every setting of the platform, read once at the edge and handed down as a value.

Sources, strongest first: the environment (`REELHOUSE_*`, and the well-known names `KAFKA_BOOTSTRAP_SERVERS`,
`SPARK_REMOTE`, `SPARK_MASTER`, `AIRFLOW_*`), a git-ignored `.env`, the defaults here.
"""

import json
import os
import re
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AliasChoices, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from jobs.lake.errors import SettingsError

ROOT = Path(__file__).resolve().parents[2]
STORES = ("s3a", "s3", "gs", "abfss", "abfs", "az", "hdfs")
MASTER = re.compile(r"local(-cluster)?(\[.+\])?|yarn|(spark|k8s)://.+")
Port = Annotated[int, Field(ge=1, le=65535)]
Count = Annotated[int, Field(ge=1)]
JavaMemory = Annotated[int, Field(ge=64)]


class Settings(BaseSettings):
    """Where things are and how big they may grow; nothing here changes what a number means but `business_zone`."""

    model_config = SettingsConfigDict(
        env_prefix="REELHOUSE_", env_file=ROOT / ".env", extra="ignore", frozen=True, populate_by_name=True
    )

    home: Path = Field(default=ROOT / "var", description="everything the platform writes lives under it")
    lake_uri: str = Field(
        default="", description="root of the Delta tables; empty: <home>/lake; or s3a://, abfss://, …"
    )
    schemas_dir: Path = ROOT / "schemas"
    jars_dir: Path = ROOT / ".jars"
    business_zone: str = "Asia/Shanghai"

    kafka_bootstrap_servers: str = Field(
        default="", validation_alias=AliasChoices("KAFKA_BOOTSTRAP_SERVERS", "REELHOUSE_KAFKA_BOOTSTRAP_SERVERS")
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT",
        validation_alias=AliasChoices("KAFKA_SECURITY_PROTOCOL", "REELHOUSE_KAFKA_SECURITY_PROTOCOL"),
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    kafka_credentials_file: Path | None = Field(
        default=None, description="lines username=… and password=…; only its owner should be able to read it"
    )
    kafka_ca_file: Path | None = Field(default=None, description="PEM of who vouches for the broker's certificate")
    kafka_certificate_file: Path | None = Field(
        default=None, description="PEM with our own key and certificate, for a broker that asks for one"
    )
    kafka_port: Port = 19092
    kafka_controller_port: Port = 19093
    kafka_memory_mb: JavaMemory = 512
    fact_partitions: Count = 4
    entity_partitions: Count = 1

    spark_remote: str = Field(default="", validation_alias=AliasChoices("SPARK_REMOTE", "REELHOUSE_SPARK_REMOTE"))
    spark_master: str = Field(default="", validation_alias=AliasChoices("SPARK_MASTER", "REELHOUSE_SPARK_MASTER"))
    spark_connect_port: Port = 15002
    spark_memory_mb: JavaMemory = 2560
    spark_cores: Count = 2
    spark_conf: str = Field(
        default="",
        description="more of Spark's settings, as a JSON object of strings, such as an object store's; no secret",
    )

    airflow_url: str = Field(default="", validation_alias=AliasChoices("AIRFLOW_URL", "REELHOUSE_AIRFLOW_URL"))
    airflow_token_file: Path | None = Field(
        default=None,
        validation_alias=AliasChoices("AIRFLOW_TOKEN_FILE", "REELHOUSE_AIRFLOW_TOKEN_FILE"),
        description="bearer token of an outside Airflow's API; only its owner should be able to read it",
    )
    airflow_port: Port = 18080

    max_records_per_batch: Count = 500_000
    log_hours: Count = Field(
        default=2,
        description="of what ingest writes, on a disk of this machine, versions older than so many hours go where they "
        "are many, and as long a reader of changes may be behind",
    )
    small_run_rows: Annotated[int, Field(ge=0)] = Field(
        default=300_000,
        description="what is done with fewer rows, in a lake of this machine, is done without Spark, "
        "and so are batches of ingest; 0: nothing is",
    )
    key_file: Path | None = Field(
        default=None, description="pseudonymisation keys; default <home>/keys/pseudonyms.json"
    )
    alert_webhook: str = Field(default="", repr=False, description="alerts are posted there; its address is a secret")
    metrics_port: Port = Field(default=9464, description="where `reelhouse metrics --serve` listens")
    metrics_host: str = Field(
        default="127.0.0.1", description="on which address; loopback unless somebody else scrapes"
    )
    lineage_url: str = Field(
        default="", description="an OpenLineage API; empty: events lie in <home>/lineage, one file a day"
    )
    lineage_api_key: str = Field(default="", repr=False, description="what that API knows us by")

    @field_validator("business_zone")
    @classmethod
    def _zone_exists(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError) as unknown:
            raise ValueError(f"{name!r} is no IANA time zone; write one such as Asia/Shanghai") from unknown
        return name

    @field_validator("lake_uri")
    @classmethod
    def _lake_has_an_address(cls, uri: str) -> str:
        """A folder of this machine is told as its path: processes differ in where a relative one would be."""
        parts = urlsplit(uri)
        if parts.scheme == "file":
            return unquote(parts.path)
        if parts.scheme and parts.scheme not in STORES:
            raise ValueError(f"{uri!r} is no store we know; write a folder, or {', '.join(f'{s}://' for s in STORES)}…")
        return uri if parts.scheme or not uri else str(Path(uri).expanduser().absolute())

    @field_validator("spark_remote")
    @classmethod
    def _remote_has_a_host(cls, url: str) -> str:
        if url and not (url.startswith("sc://") and urlsplit(url).hostname):
            raise ValueError(f"{url!r} is no Spark Connect server; write one such as sc://host:15002")
        return url

    @field_validator("spark_master")
    @classmethod
    def _master_is_known(cls, master: str) -> str:
        if master and not MASTER.fullmatch(master):
            raise ValueError(f"{master!r} is no Spark master; write local[2], spark://host:7077, yarn or k8s://…")
        return master

    @field_validator("lineage_url", "airflow_url", "alert_webhook")
    @classmethod
    def _is_web_address(cls, url: str) -> str:
        if url and not url.startswith(("http://", "https://")):
            raise ValueError("is no address of an API; write one such as http://127.0.0.1:5000")
        return url

    @field_validator("spark_conf")
    @classmethod
    def _conf_is_an_object(cls, text: str) -> str:
        if text:
            _conf(text)
        return text

    @field_validator(
        "home", "schemas_dir", "jars_dir", "key_file",
        "kafka_credentials_file", "kafka_ca_file", "kafka_certificate_file", "airflow_token_file", mode="after",
    )  # fmt: skip
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        return path.expanduser().absolute() if path else None

    @classmethod
    def from_env(cls) -> Self:
        """Read the settings; a bad one is a SettingsError that names it and what it should be."""
        try:
            found = cls()
        except ValidationError as bad:
            first = bad.errors()[0]
            told = first["msg"].removeprefix("Value error, ")
            raise SettingsError(f"{_variable(str(first['loc'][0]))}: {told}") from bad
        if not found.schemas_dir.is_dir():
            raise SettingsError(f"REELHOUSE_SCHEMAS_DIR: {found.schemas_dir} is no folder; name that of the contracts")
        return found

    @property
    def lake_root(self) -> str:
        """Root of the Delta tables, as Spark and delta-rs both read it."""
        return self.lake_uri.rstrip("/") or str(self.home / "lake")

    @property
    def bootstrap(self) -> str:
        """The broker to use: an outside one when named, else ours on loopback."""
        return self.kafka_bootstrap_servers or f"127.0.0.1:{self.kafka_port}"

    @property
    def keys_path(self) -> Path:
        """The file with the pseudonymisation keys (mode 0600)."""
        return self.key_file or self.home / "keys" / "pseudonyms.json"

    @property
    def is_cluster(self) -> bool:
        """Whether the workers of our own sessions are not of this machine."""
        return bool(self.spark_master) and not self.spark_master.startswith("local")

    @property
    def more_spark_conf(self) -> dict[str, str]:
        """What `spark_conf` says, by name; it wins over what we set."""
        return _conf(self.spark_conf) if self.spark_conf else {}

    @property
    def spark_jars(self) -> list[Path]:
        """Connector jars for a classic session or our Connect server, in a stable order."""
        return sorted((self.jars_dir / "spark").glob("*.jar"))

    @property
    def local_files_jar(self) -> list[Path]:
        """What a Spark of this machine opens local files by; it must be on the class path from the start."""
        return sorted((self.jars_dir / "files").glob("*.jar"))

    def as_environment(self) -> dict[str, str]:
        """The settings as variables, so that a process started elsewhere has the very same."""
        named = {key.upper(): value for key, value in self.model_dump(mode="json", exclude_none=True).items()}
        return {f"REELHOUSE_{key}": str(value) for key, value in named.items() if value != ""}

    def table_path(self, table: str) -> str:
        """`gold.funnel_daily` lives at `<lake>/gold/funnel_daily`: the name of a table is its address."""
        layer, name = table.split(".", 1)
        return f"{self.lake_root}/{layer}/{name}"


def _variable(name: str) -> str:
    """The name under which a setting was given: a well-known one, or ours."""
    name = name.upper()
    return name if name.startswith("REELHOUSE_") or name in os.environ else f"REELHOUSE_{name}"


def _conf(text: str) -> dict[str, str]:
    """Spark's settings out of their JSON; ValueError for anything but an object of strings."""
    try:
        conf = json.loads(text)
    except json.JSONDecodeError as bad:
        raise ValueError(f"{text!r} is no JSON: {bad.msg}") from bad
    if not isinstance(conf, dict) or not all(isinstance(value, str) for value in conf.values()):
        raise ValueError(f'{text!r}: write a JSON object of strings such as {{"spark.hadoop.fs.s3a.endpoint": "…"}}')
    return conf
