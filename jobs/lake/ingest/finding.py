"""What the lake holds of a person: their names, their records in bronze, their rows in silver.

A person's names are the pseudonyms of their id and of the devices that they alone logged in on: what was done there
while nobody was logged in goes by the device's name (docs/adr/0015).
"""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from jobs.definitions.firsts import PLACE
from jobs.lake.erasures import FOR_EVER, PERSONAL, erased_records, horizons, marks_beside
from jobs.lake.identity import PSEUDONYM, Keys, read_keys
from jobs.lake.ingest.erased import key_of_record, mark_function, mark_of_record, without_erased
from jobs.lake.ingest.forms import silver_table
from jobs.lake.ingest.given_up import TIME, given_up
from jobs.lake.ingest.progress import BRONZE, QUARANTINE
from jobs.lake.ingest.refusals import IN_BRONZE
from jobs.lake.ledger import Ledger
from jobs.lake.scanning import dataset_of
from jobs.lake.settings import Settings
from jobs.lake.tables import Lake

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

WITH_DEVICE = ("silver.views", "silver.likes")
TABLES = tuple(silver_table(topic) for topic in PERSONAL)
# What was known of people stays there though silver has no row of theirs any more, as after a replay was undone.
NAMED = (*TABLES, "gold.user_profiles_history")
MOST_SEEN = 1_000_000  # names that are not hashed again, some 100 MB


@dataclass(frozen=True)
class Found:
    """A person's names, their marks, records by topic/partition (at `places`: IN_BRONZE, `_mark`), rows by table.

    Among the records are those that bronze has given up and silver has rows of (`given_up`, as `given_up()` has them).
    Of the names the last ones, so many, are of `devices`. `was_erased`: before, whatever has come since.
    """

    names: tuple[str, ...]
    devices: int
    marks: tuple[str, ...]
    records: Counter[str]
    rows: Counter[str]
    places: "DataFrame"
    was_erased: bool
    given_up: tuple[dict[str, Any], ...] = ()

    @property
    def is_nothing(self) -> bool:
        """Whether the lake holds nothing of them."""
        return not (self.records or self.rows)


def find(lake: Lake, user: str) -> Found:
    """All of a person, by the id that the app sends or by a pseudonym."""
    settings, ledger = lake.settings, Ledger(lake.settings)
    keys = read_keys(settings.keys_path)  # never a fresh one: it would know nobody
    raw_id = raw_id_of(lake, keys, user) if PSEUDONYM.fullmatch(user) else user
    own = names_of(raw_id or user, keys)
    names, marks = names_and_marks(settings, ledger, keys, own)
    places = places_of(lake, marks, raw_id)
    rows = Counter({table: len(rows_of(ledger, table, names, ["user_id"])) for table in NAMED})
    rows[QUARANTINE] = places.where("is_refused").count()
    was_erased = not horizons(ledger).keys().isdisjoint(marks)
    lost = given_up(ledger, keys, made_of(ledger, names, {}))
    records, told = counted(places) + by_part(lost), places.drop("is_refused")
    return Found(names, len(names) - len(own), marks, records, +rows, told, was_erased, tuple(lost))


def made_of(ledger: Ledger, names: Collection[str], versions: Mapping[str, int]) -> dict[str, list[dict[str, Any]]]:
    """By topic the rows of silver with these names, now or as of these versions: what `given_up()` asks for."""
    return {
        topic: rows_of(ledger, silver_table(topic), names, [*PLACE, TIME], version=versions.get(silver_table(topic)))
        for topic in PERSONAL
    }


def by_part(records: Collection[Mapping[str, Any]]) -> Counter[str]:
    """How many records of bronze by topic/partition."""
    return Counter(f"{row['topic']}/{row['partition']}" for row in records)


def places_of(lake: Lake, marks: Sequence[str], raw_id: str | None) -> "DataFrame":
    """Topic, IN_BRONZE, `is_refused` and `_mark` of records not yet erased with one of the marks, or the raw id."""
    mark = mark_of_record(lake, dict.fromkeys(marks, FOR_EVER))
    if raw_id is not None:
        mark = F.coalesce(mark, F.when(is_named(raw_id), F.lit(marks[0])))
    marked = unerased(lake, marks).select("topic", *IN_BRONZE, "is_refused", mark.alias("_mark"))
    return lake.keep(marked.where("_mark IS NOT NULL"))


def counted(places: "DataFrame") -> Counter[str]:
    """How many by topic/partition."""
    return Counter({f"{line[0]}/{line[1]}": line[2] for line in places.groupBy("topic", "partition").count().collect()})


def names_of(user: str, keys: Keys) -> list[str]:
    """The pseudonyms of a person, under each key; one that is given stands for itself."""
    return [user] if PSEUDONYM.fullmatch(user) else keys.pseudonyms(user)


def raw_id_of(lake: Lake, keys: Keys, pseudonym: str) -> str | None:
    """The id behind a pseudonym, told by the keys of records; None where bronze has none of them any more.

    Under another key the person has another pseudonym. KeyFileError for one under a key that the file does not hold.
    """
    mark = keys.known_mark(pseudonym)
    told, anytime = mark_function(lake.settings.keys_path, {mark: FOR_EVER}), F.lit(0).cast("bigint")
    records = lake.read(BRONZE).where(F.col("topic").isin(*PERSONAL)).select(key_of_record().alias("raw_id"))
    found = records.where(told(F.col("raw_id"), anytime, anytime) == mark).first()
    return str(found.raw_id) if found else None


def names_and_marks(
    settings: Settings, ledger: Ledger, keys: Keys, own: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of a person with these pseudonyms, and of the devices that are theirs alone.

    An erasure leaves of a device its mark beside the person's. So it is theirs still, unless others came to use it.
    """
    before = marks_beside(ledger, map(keys.known_mark, own))
    versions = {table: ledger.version(table) for table in NAMED}
    again = {name for by in ("user_id", "device_id") for name in names_behind(settings, ledger, before, versions, by)}
    devices = own_devices(ledger, own, again)
    strangers = {keys.mark(name) for name in again.difference(devices)}
    names = (*own, *devices)
    return names, tuple(dict.fromkeys([*map(keys.known_mark, names), *sorted(before - strangers)]))


def own_devices(ledger: Ledger, names: Collection[str], also: Collection[str] = ()) -> list[str]:
    """The devices, `also` these, on which these names alone ever acted under a name of their own."""
    told = [row for table in WITH_DEVICE for row in rows_of(ledger, table, names, ["user_id", "device_id"])]
    theirs = {row["device_id"] for row in told if row["device_id"] not in (None, row["user_id"])}.union(also)
    beside = [row for table in WITH_DEVICE for row in rows_of(ledger, table, theirs, ["user_id"], by="device_id")]
    others = (row for row in beside if row["user_id"] not in names and row["user_id"] != row["device_id"])
    return sorted(theirs - {row["device_id"] for row in others})


def rows_of(
    ledger: Ledger, table: str, names: Collection[str], columns: list[str], *, by: str = "user_id",
    version: int | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """The rows of a table of silver with one of these names, now or as of a version (-1: there was none)."""
    import pyarrow as pa
    from deltalake import DeltaTable, QueryBuilder

    if not names or version == -1 or not ledger.exists(table):
        return []
    listed = ", ".join("'" + name.replace("'", "''") + "'" for name in sorted(names))
    query = f"SELECT {', '.join(sorted({*columns, by}))} FROM t WHERE {by} IN ({listed})"  # noqa: S608 (our own SQL)
    found = QueryBuilder().register("t", DeltaTable(ledger.path(table), version=version)).execute(query)
    return list(pa.table(found.read_all()).to_pylist())


def unerased(lake: Lake, marks: Collection[str]) -> "DataFrame":
    """The records of topics about people; `is_refused` says that quarantine has them."""
    done = [(row["topic"], row["topic_id"], row["partition"], row["offset"])
            for row in erased_records(Ledger(lake.settings), marks)]  # fmt: skip
    records = without_erased(lake, lake.read(BRONZE).where(F.col("topic").isin(*PERSONAL)), done)
    refused = (
        lake.read(QUARANTINE)
        .where(F.col("topic").isin(*PERSONAL))
        .select(*(F.col(f"kafka_{name}").alias(name) for name in IN_BRONZE), F.lit(True).alias("is_refused"))
    )
    told = records.join(refused, on=list(IN_BRONZE), how="left")  # at most one refusal per record
    return told.withColumn("is_refused", F.coalesce("is_refused", F.lit(False)))


def is_named(raw_id: str) -> "Column":
    """Whether a refused record has the id in its bytes, in quotes, whatever is broken about it."""
    as_letters = quoted(raw_id).encode().decode("latin-1")  # a letter for each byte: what is no UTF-8 is read as well
    return F.col("is_refused") & F.coalesce(F.decode("value", "ISO-8859-1").rlike(as_letters), F.lit(False))


def quoted(raw_id: str) -> str:
    """The expression, to Java, Python and RE2, that finds an id in quotes: as it is, or as JSON spells it."""
    spelt = {raw_id, json.dumps(raw_id)[1:-1], json.dumps(raw_id, ensure_ascii=False)[1:-1]}
    return f"""["'](?:{"|".join(map(re.escape, sorted(spelt)))})["']"""


def names_behind(
    settings: Settings, ledger: Ledger, marks: Collection[str], versions: Mapping[str, int], by: str = "user_id"
) -> Iterator[str]:
    """The pseudonyms in the tables, as of these versions, that have these marks: for who knows the marks only.

    One may come more than once.
    """
    from deltalake import DeltaTable

    if not marks:
        return
    keys, wanted, seen = read_keys(settings.keys_path), set(marks), set[str]()
    for table in (each for each in NAMED if versions[each] >= 0):
        rows = dataset_of(DeltaTable(ledger.path(table), version=versions[table]))
        for batch in rows.to_batches(columns=[by]) if by in rows.schema.names else ():
            new = set(batch[by].unique().to_pylist()) - seen
            if len(seen) > MOST_SEEN:
                seen.clear()
            seen |= new
            yield from (name for name in new if name and keys.mark(name) in wanted)
