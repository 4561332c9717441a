"""Every setting of the platform, read once at the edge and handed down as a value.

Sources, strongest first: the environment (`REELHOUSE_*`, and the well-known names `KAFKA_BOOTSTRAP_SERVERS`,
`SPARK_REMOTE`, `SPARK_MASTER`, `AIRFLOW_*`), a git-ignored `.env`, the defaults here.
"""

import json
from pathlib import Path
from typing import Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AliasChoices, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from jobs.lake.errors import SettingsError

ROOT = Path(__file__).resolve().parents[2]


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
    kafka_port: int = 19092
    kafka_controller_port: int = 19093
    kafka_memory_mb: int = 512
    fact_partitions: int = 4
    entity_partitions: int = 1

    spark_remote: str = Field(default="", validation_alias=AliasChoices("SPARK_REMOTE", "REELHOUSE_SPARK_REMOTE"))
    spark_master: str = Field(default="", validation_alias=AliasChoices("SPARK_MASTER", "REELHOUSE_SPARK_MASTER"))
    spark_connect_port: int = 15002
    spark_memory_mb: int = 2560
    spark_cores: int = 2
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
    airflow_port: int = 18080

    max_records_per_batch: int = 500_000
    key_file: Path | None = Field(
        default=None, description="pseudonymisation keys; default <home>/keys/pseudonyms.json"
    )
    alert_webhook: str = ""

    @field_validator("business_zone")
    @classmethod
    def _zone_exists(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError) as unknown:
            raise ValueError(f"{name!r} is no IANA time zone; write one such as Asia/Shanghai") from unknown
        return name

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
            return cls()
        except ValidationError as bad:
            first = bad.errors()[0]
            name = "REELHOUSE_" + "_".join(str(part) for part in first["loc"]).upper()
            raise SettingsError(f"{name.replace('REELHOUSE_REELHOUSE_', 'REELHOUSE_')}: {first['msg']}") from bad

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
    def more_spark_conf(self) -> dict[str, str]:
        """What `spark_conf` says, by name; it wins over what we set."""
        return _conf(self.spark_conf) if self.spark_conf else {}

    @property
    def spark_jars(self) -> list[Path]:
        """Connector jars for a classic session or our Connect server, in a stable order."""
        return sorted((self.jars_dir / "spark").glob("*.jar"))

    def as_environment(self) -> dict[str, str]:
        """The settings as variables, so that a process started elsewhere has the very same."""
        named = {key.upper(): value for key, value in self.model_dump(mode="json", exclude_none=True).items()}
        return {f"REELHOUSE_{key}": str(value) for key, value in named.items() if value != ""}

    def table_path(self, table: str) -> str:
        """`gold.funnel_daily` lives at `<lake>/gold/funnel_daily`: the name of a table is its address."""
        layer, name = table.split(".", 1)
        return f"{self.lake_root}/{layer}/{name}"


def _conf(text: str) -> dict[str, str]:
    """Spark's settings out of their JSON; ValueError for anything but an object of strings."""
    try:
        conf = json.loads(text)
    except json.JSONDecodeError as bad:
        raise ValueError(f"{text!r} is no JSON: {bad.msg}") from bad
    if not isinstance(conf, dict) or not all(isinstance(value, str) for value in conf.values()):
        raise ValueError(f'{text!r}: write a JSON object of strings such as {{"spark.hadoop.fs.s3a.endpoint": "…"}}')
    return conf
