"""A warm Spark Connect server with Delta and the Kafka connector: a job finds its JVM started."""

import importlib.util
import os
import sys
from contextlib import suppress
from pathlib import Path

from jobs.lake.errors import ServiceError
from jobs.lake.java import good_java
from jobs.lake.services import process
from jobs.lake.services.service import Service, answers
from jobs.lake.settings import ROOT, Settings

INFRA = ROOT / "infra" / "spark"
SERVER_CLASS = "org.apache.spark.sql.connect.service.SparkConnectServer"
PROBE_SECONDS = 3.0


class Connect(Service):
    """Spark, kept warm."""

    name = "connect"
    patience_seconds = 240.0

    @property
    def outside(self) -> str:
        """Set by SPARK_REMOTE or SPARK_MASTER, unless that names our own."""
        named = self.settings.spark_remote or self.settings.spark_master
        return "" if named == self._own_address else named

    @property
    def address(self) -> str:
        """What to set SPARK_REMOTE to."""
        return self.outside or self._own_address

    @property
    def _own_address(self) -> str:
        return f"sc://127.0.0.1:{self.settings.spark_connect_port}"

    @property
    def ports(self) -> dict[str, int]:
        """One, for gRPC."""
        return {"REELHOUSE_SPARK_CONNECT_PORT": self.settings.spark_connect_port}

    def prepare(self) -> None:
        """Write the server's settings: those of every session of ours, and its own."""
        from jobs.lake.session import static_conf

        conf = static_conf(self.settings)
        (self.folder / "tmp").mkdir(parents=True, exist_ok=True)
        conf |= {
            "spark.connect.grpc.binding.port": str(self.settings.spark_connect_port),
            "spark.local.dir": str(self.folder / "tmp"),
            "spark.master": f"local[{self.settings.spark_cores}]",
        }
        lines = "".join(f"{key} {value}\n" for key, value in sorted(conf.items()))
        self._conf.write_text((INFRA / "connect.conf").read_text() + lines)

    @property
    def _conf(self) -> Path:
        return self.folder / "spark.conf"

    def command(self) -> list[str]:
        """The server, started by the Spark inside pyspark."""
        submit = str(_spark_home() / "bin" / "spark-submit")
        return [submit, "--properties-file", str(self._conf), "--class", SERVER_CLASS, "spark-internal"]

    def environment(self) -> dict[str, str]:
        """Functions sent to the server need our Python and our package."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("SPARK_", "PYSPARK_"))}
        return inherited | {
            "JAVA_HOME": str(good_java().home),
            "SPARK_HOME": str(_spark_home()),
            "PYSPARK_PYTHON": sys.executable,
            "PYSPARK_DRIVER_PYTHON": sys.executable,
            "PYTHONPATH": str(ROOT),
        }

    def warm(self) -> None:
        """Load what every job needs: Delta's writer, its MERGE and its reader; some ten seconds the first time."""
        from jobs.lake.session import open_session

        spark = open_session(self.settings.model_copy(update={"spark_remote": self.address}))
        table = f"{self.folder}/tmp/warm"
        row = spark.range(1)
        row.write.format("delta").mode("overwrite").save(table)
        row.createOrReplaceTempView("incoming")
        spark.sql(f"MERGE INTO delta.`{table}` t USING incoming s ON t.id = s.id WHEN NOT MATCHED THEN INSERT *")
        spark.read.format("delta").load(table).count()
        spark.stop()

    def is_well(self) -> bool:
        """The server takes gRPC calls; an outside cluster (SPARK_MASTER) is taken at its word."""
        if self.outside:
            return not self.outside.startswith("sc://") or _takes_calls(self.outside.removeprefix("sc://"))
        port = self.settings.spark_connect_port
        return answers(port) and _takes_calls(f"127.0.0.1:{port}")


def warm_server(settings: Settings) -> str:
    """The address of the server that `make up` started under this home; empty when none runs."""
    ours = Connect(settings)
    record = process.recorded(ours.folder)
    return ours.address if record and process.is_alive(record) and ours.is_well() else ""


def _spark_home() -> Path:
    """Where pyspark lies, without the second it takes to import it."""
    spec = importlib.util.find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise ServiceError("connect: pyspark is not installed here; run `make setup`")
    return Path(spec.origin).parent


def _takes_calls(target: str) -> bool:
    import grpc

    channel = grpc.insecure_channel(target.partition("/")[0], options=[("grpc.enable_http_proxy", 0)])
    with suppress(grpc.FutureTimeoutError):
        grpc.channel_ready_future(channel).result(timeout=PROBE_SECONDS)
        channel.close()
        return True
    channel.close()
    return False
