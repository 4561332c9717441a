"""The one place that decides which Spark runs our jobs.

`SPARK_REMOTE=sc://…` → a client of that Spark Connect server; `SPARK_MASTER` → a session of its own under it; neither →
a client of the server that `make up` started here or, while there is none, a session of its own (`local[<cores>]`).
Nothing else in the code knows which.
"""

import os
import socket
import sys
from collections.abc import Mapping
from urllib.parse import urlsplit

from pyspark.sql import SparkSession

from jobs.lake.errors import ServiceError, SettingsError
from jobs.lake.services.connect import warm_server
from jobs.lake.settings import ROOT, Settings

# Runtime settings that any session takes, Connect included.
SESSION_CONF = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.sql.sources.partitionOverwriteMode": "static",
    # Files read by name (jobs/lake/plain_scan.py) are looked up here: a job for it costs more than 200 of them.
    "spark.sql.sources.parallelPartitionDiscovery.threshold": "200",
    # The default has no least and greatest value in the file, and takes half as much room again.
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    # Lists collected by user or order: the default turns to sorting after 128 of them.
    "spark.sql.objectHashAggregate.sortBased.fallbackThreshold": "20000",
}
CONNECT_PORT, PATIENCE_SECONDS = 15002, 10  # Spark's own port; for somebody to listen
# A driver that only processes of this machine talk to; workers elsewhere must find it by its own address.
ON_LOOPBACK = {"spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"}
# Hadoop's own starts six processes (chmod) for each file that Spark writes here: pyspark has no native library for it.
CLASS_PATH, LOCAL_FILES = "spark.driver.extraClassPath", "spark.hadoop.fs.file.impl"
BARE_FILES = "com.globalmentor.apache.hadoop.fs.BareLocalFileSystem"
LOGGING = ROOT / "infra" / "spark" / "log4j2.properties"
# Jobs of seconds on few cores: a collector that works beside them takes a tenth of the processor from them.
COLLECTOR = "-XX:+UseParallelGC"
# Else every column operation walks the Python stack, which costs more than building the plan.
QUIET = {"spark.python.sql.dataFrameDebugging.enabled": "false"}


def static_conf(settings: Settings) -> dict[str, str]:
    """Settings that only the start of a JVM can take; shared by classic sessions and our Connect server."""
    jars = settings.spark_jars
    if not jars:
        raise SettingsError(f"no connector jars in {settings.jars_dir}/spark; run `make setup`")
    more = settings.more_spark_conf
    return {
        "spark.jars": ",".join(str(jar) for jar in jars),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.shuffle.partitions": str(settings.spark_cores),
        "spark.default.parallelism": str(settings.spark_cores),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        # Kept for a page nobody looks at, plans in words among it: a warm server would fill its memory with them.
        "spark.ui.retainedJobs": "50",
        "spark.ui.retainedStages": "50",
        "spark.ui.retainedTasks": "500",
        "spark.sql.ui.retainedExecutions": "10",
        "spark.sql.maxPlanStringLength": "20000",
        "spark.driver.memory": f"{settings.spark_memory_mb}m",
        **({} if settings.is_cluster else ON_LOOPBACK),
        "spark.sql.codegen.cache.maxEntries": "1000",  # ingest alone has several hundred pieces of generated code
        "spark.sql.warehouse.dir": str(settings.home / "spark-warehouse"),
        "spark.executorEnv.PYTHONPATH": str(ROOT),
        "spark.log.level": "WARN",
        "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={LOGGING.as_uri()} {COLLECTOR}",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        **QUIET,
        "spark.databricks.delta.schema.autoMerge.enabled": "false",
        **SESSION_CONF,
        **more,
        **({} if settings.is_cluster else local_files(settings, more)),
    }


def local_files(settings: Settings, more: Mapping[str, str]) -> dict[str, str]:
    """Local files by Java alone (docs/adr/0031), unless `more` names another way; its class path comes after ours."""
    if not settings.local_files_jar:
        raise SettingsError(f"no jar in {settings.jars_dir}/files; run `make setup`")
    path = os.pathsep.join([*map(str, settings.local_files_jar), *filter(None, [more.get(CLASS_PATH)])])
    return {CLASS_PATH: path, LOCAL_FILES: more.get(LOCAL_FILES, BARE_FILES)}


def _refuse_silent(remote: str) -> None:
    """ServiceError when nobody listens there: Spark's client would try again for ten minutes, without a word."""
    place = urlsplit(remote)
    try:
        socket.create_connection((place.hostname or "", place.port or CONNECT_PORT), timeout=PATIENCE_SECONDS).close()
    except OSError as silent:
        where = remote.partition("/;")[0]  # what follows may hold a token
        words = silent.strerror or str(silent)
        raise ServiceError(f"Spark Connect at {where}: {words}; check SPARK_REMOTE") from silent


def open_session(settings: Settings, name: str = "reelhouse") -> SparkSession:
    """A session of the configured kind, with the same runtime settings on each."""
    remote = settings.spark_remote or ("" if settings.spark_master else warm_server(settings))
    if remote:
        _refuse_silent(remote)
        spark = SparkSession.builder.remote(remote).getOrCreate()
        for key, value in SESSION_CONF.items():
            spark.conf.set(key, value)
        return spark
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # workers need our packages, not the first python3 on PATH
    if not settings.is_cluster:
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    if not os.environ.get("SPARK_REMOTE"):
        os.environ.pop("SPARK_REMOTE", None)  # set but empty, it would forbid a session of our own
    builder = SparkSession.builder.appName(name).master(settings.spark_master or f"local[{settings.spark_cores}]")
    for key, value in static_conf(settings).items():
        builder = builder.config(key, value)
    return builder.getOrCreate()
