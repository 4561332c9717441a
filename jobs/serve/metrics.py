"""The platform in figures, for Prometheus: worked out from the ledger and the broker whenever it is asked.

Nothing is kept between two scrapes, and no label holds anything about a person.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from jobs.lake.clock import now
from jobs.lake.errors import ServiceError
from jobs.lake.ledger import Ledger
from jobs.lake.publications import published
from jobs.lake.settings import Settings
from jobs.lake.watch.measuring import Measured, measure
from jobs.ops.canaries import State
from jobs.ops.promises import LATENCY
from jobs.serve.books import Asked, book_ranges, totals
from jobs.serve.reconciliations import lines_not_compared

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric

PREFIX = "reelhouse"
FATES = ("accepted", "duplicate", "quarantined", "conflict", "erased", "canary", "lost")
Sample = tuple[tuple[str, ...], float]


class Platform:
    """A collector of prometheus_client over one lake."""

    def __init__(self, settings: Settings, clock: Callable[[], datetime] = now) -> None:
        self.settings = settings
        self.clock = clock

    def describe(self) -> list["Metric"]:
        """Nothing beforehand: prometheus_client would otherwise collect once to know the names."""
        return []

    def collect(self) -> Iterator["Metric"]:
        """Every metric, as of now."""
        ledger, measured = Ledger(self.settings), measure(self.settings, self.clock(), "metrics")
        yield from of_records(self.settings)
        yield from of_releases(ledger)
        yield from of_lag(measured)
        yield from of_rates(measured)
        yield from of_numbers(measured)
        yield from of_tables(ledger, measured)
        yield from of_promises(measured)
        yield from of_costs(ledger)


def exposition(settings: Settings) -> str:
    """All metrics in Prometheus's text format."""
    from prometheus_client import generate_latest

    return generate_latest(registry(settings)).decode()


def serve(settings: Settings) -> Callable[[], None]:
    """Answer scrapes on the settings' address until the returned function is called; ServiceError for a taken port."""
    from prometheus_client import start_http_server

    host, port = settings.metrics_host, settings.metrics_port
    try:
        server, thread = start_http_server(port, host, registry(settings))
    except OSError as taken:
        raise ServiceError(
            f"metrics: cannot listen on {host}:{port} ({taken.strerror}); free it, or set REELHOUSE_METRICS_PORT"
        ) from taken

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop


def registry(settings: Settings) -> "CollectorRegistry":
    """A registry of its own, with nothing of this process in it."""
    from prometheus_client import CollectorRegistry

    made = CollectorRegistry()
    made.register(Platform(settings))
    return made


def of_records(settings: Settings) -> Iterator["Metric"]:
    """What became of every record, since the lake began; the rate of those received is Prometheus's to work out.

    What they are now is no counter: an erasure, an undoing or an earlier arrival makes something else of a record.
    """
    ranges = book_ranges(settings, Asked())
    sums = totals(ranges)
    received = (((line["topic"],), line["received"]) for line in sums)
    yield _counter("records_received", "Records received, by the books.", ("topic",), received)
    yield _gauge(
        "records", "Records by topic and what they are now, by the books.", ("topic", "fate"),
        (((line["topic"], fate), line[fate]) for line in sums for fate in FATES),
    )  # fmt: skip
    yield _gauge(
        "records_refused", "Refused records by reason; a record counts under each of its reasons.", ("topic", "reason"),
        (((line["topic"], reason), times) for line in sums for reason, times in sorted(line["reasons"].items())),
    )  # fmt: skip
    off = [((), float(sum(not line["balanced"] for line in ranges)))]
    yield _gauge("books_unbalanced_ranges", "Ranges of the books that do not balance.", (), off)


def of_releases(ledger: Ledger) -> Iterator["Metric"]:
    """What of releases could not be compared."""
    words = "Lines of releases (ops.reconciliations) that could not be compared with what a table was made from."
    lines = (((table,), float(count)) for table, count in lines_not_compared(ledger).items())
    yield _counter("lines_not_compared", words, ("table",), lines)


def of_lag(measured: Measured) -> Iterator["Metric"]:
    """How far ingest is behind the broker."""
    samples = (((row["topic"], str(row["partition"])), row["behind"]) for row in measured.lag)
    yield _gauge("lag_records", "Offsets of the broker that ingest has not read.", ("topic", "partition"), samples)
    states = (
        ((row["topic"], str(row["partition"]), state), float(row["state"] == state))
        for row in measured.lag
        for state in State
    )
    about = "What canaries tell of a partition: 1 for the state that it is in."
    yield _gauge("stream_state", about, ("topic", "partition", "state"), states)


def of_rates(measured: Measured) -> Iterator["Metric"]:
    """How fast records came in since the watch last noted it, for who asks without Prometheus's own arithmetic."""
    fates = ("received", "accepted")
    samples = (((row["topic"], fate), row[f"{fate}_per_second"]) for row in measured.rates for fate in fates)
    words = "Records a second since `alerts --record` last measured, or within the last day."
    yield _gauge("records_per_second", words, ("topic", "fate"), samples)


def of_numbers(measured: Measured) -> Iterator["Metric"]:
    """Producers' numbers of the last day, told of no producer by name: there may be as many as devices."""
    told = measured.numbers
    for name, count, words in (
        ("producer_numbers_lost", told.lost, "Numbers that are missing before records of the last 24 hours."),
        ("producer_numbers_repeated", told.repeated, "Records of the last 24 hours whose number another had before."),
        ("producer_epochs_with_loss", told.epochs, "Epochs of producers of which those numbers are missing."),
    ):
        yield _gauge(name, words, (), [((), float(count))])
    bare = (((topic,), float(count)) for topic, count in sorted(told.bare.items()))
    yield _gauge("records_unnumbered", "Records of the last 24 hours that bear no number.", ("topic",), bare)


def of_tables(ledger: Ledger, measured: Measured) -> Iterator["Metric"]:
    """How new each table is."""
    fresh = measured.freshness
    waiting = (((row["table"],), row["waiting_seconds"]) for row in fresh)
    yield _gauge("table_waiting_seconds", "How long the oldest thing not in the table has waited.", ("table",), waiting)
    for name, words in (
        ("newest_event_at", "Newest event in the table"),
        ("complete_until", "Complete strictly below this event time"),
        ("changed_at", "Newest batch with rows for it, or newest release"),
    ):
        moments = (((row["table"],), row[name].timestamp()) for row in fresh if row[name])
        metric = f"table_{name.removesuffix('_at')}_timestamp_seconds"
        yield _gauge(metric, f"{words}, in seconds since 1970.", ("table",), moments)
    rows = (((table,), line.rows) for table, line in sorted(published(ledger).items()))
    yield _gauge("table_rows", "Rows readers see.", ("table",), rows)


def of_promises(measured: Measured) -> Iterator["Metric"]:
    """The contracts' promises: kept or not, and what was measured."""
    labels = ("table", "property")
    for name, column, words in (
        ("promise_kept", "is_kept", "1 when a promise of the table's contract is kept, 0 when it is broken."),
        ("promise_promised", "promised", f"What is promised: the most seconds of {LATENCY}, the least percent else."),
        ("promise_measured", "measured", "What was measured, in the unit of the promise."),
    ):
        samples = (((row["table"], row["property"]), float(row[column])) for row in measured.promises)
        yield _gauge(name, words, labels, samples)


def of_costs(ledger: Ledger) -> Iterator["Metric"]:
    """What ingest batches and builds have cost since the lake began."""
    sums = ("milliseconds", "rows", "files", "bytes")
    lines = ledger.read("ops.costs", ["work", "family", *sums])
    grouped = lines.group_by(["work", "family"]).aggregate([("work", "count"), *((name, "sum") for name in sums)])
    rows = sorted(grouped.to_pylist(), key=lambda row: (row["work"], row["family"] or ""))
    for name, column, words, share in (
        ("work", "work_count", "Ingest batches and builds.", 1),
        ("work_seconds", "milliseconds_sum", "Seconds they took.", 1000),
        ("work_rows", "rows_sum", "Rows they received or staged.", 1),
        ("work_files", "files_sum", "Data files they wrote.", 1),
        ("work_bytes", "bytes_sum", "Bytes of those files.", 1),
    ):
        samples = (((row["work"], row["family"] or "silver"), row[column] / share) for row in rows)
        yield _counter(name, words, ("work", "family"), samples)


def _gauge(name: str, words: str, labels: tuple[str, ...], samples: Iterable[Sample]) -> "Metric":
    from prometheus_client.core import GaugeMetricFamily

    return _filled(GaugeMetricFamily(f"{PREFIX}_{name}", words, labels=labels), samples)


def _counter(name: str, words: str, labels: tuple[str, ...], samples: Iterable[Sample]) -> "Metric":
    from prometheus_client.core import CounterMetricFamily

    return _filled(CounterMetricFamily(f"{PREFIX}_{name}", words, labels=labels), samples)


def _filled(metric: Any, samples: Iterable[Sample]) -> "Metric":
    for labels, value in samples:
        metric.add_metric(labels, value)
    filled: Metric = metric
    return filled
