"""A batch's rows into the silver tables, each table in one commit that carries the batch's number."""

from functools import reduce
from importlib import import_module
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from jobs.definitions.events.form import Form
from jobs.definitions.events.rows import changes
from jobs.definitions.firsts import PLACE, without
from jobs.lake.ingest.batch import SMALL, Batch
from jobs.lake.ingest.contests import Contest
from jobs.lake.ingest.counting import version_before
from jobs.lake.ingest.forms import silver_table
from jobs.lake.ingest.ids import IdRange
from jobs.lake.ingest.progress import APP

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from jobs.lake.ingest.retracting import Retracted


def firsts(batch: Batch, form: Form, contest: Contest) -> "DataFrame":
    """Readings of the topic's records that were first."""
    late = contest.places(is_new=True)
    return batch.readings(form) if late is None else without(batch.readings(form), late)


def write_facts(batch: Batch, form: Form, contest: Contest, ranges: list[IdRange]) -> None:
    """Append the batch's facts; one that came before a row that is there replaces it in the same commit.

    So do rows go that are taken back, unless another arrival of the same event has their place now.
    """
    table = silver_table(form.topic)
    build = import_module(f"jobs.silver.{form.topic}").build
    rows = build(firsts(batch, form, contest), form=form, pseudonym=batch.pseudonym)
    lost = lost_places(batch, form, contest)
    if lost is None:
        batch.append(table, rows, at_most=batch.at_most(form.topic))
    elif batch.lake.merges:
        merge_facts(batch, table, rows, ranges, batch.retracted.get(form.topic))
    else:
        batch.lake.replace_few(table, rows, lost, app=APP, version=batch.seq, metadata=batch.note)


def merge_facts(
    batch: Batch, table: str, rows: "DataFrame", ranges: list[IdRange], back: "Retracted | None"
) -> None:  # fmt: skip
    """The batch's facts by their ids; of a table of any size what lies at their dates is read."""
    keys = ["event_id", "id_date"]
    removed = None if back is None else back.rows.join(rows.select(*keys), on=keys, how="left_anti")
    dated = {each.day for each in ranges if each.day is not None}
    days = sorted(dated | set(back.id_dates if back is not None and back.id_dates else ()))
    bounds = f"t.id_date BETWEEN DATE'{days[0]}' AND DATE'{days[-1]}'"
    batch.lake.merge(table, rows, keys, app=APP, version=batch.seq, metadata=batch.note, bounds=bounds, removed=removed)


def write_entities(batch: Batch, form: Form, contest: Contest) -> None:
    """Work out the histories of the keys that changed anew, and put them in place of what is there."""
    table, key = silver_table(form.topic), form.key_field
    build = import_module(f"jobs.silver.{form.topic}").build
    new = batch.keep(changes(firsts(batch, form, contest), form, batch.pseudonym))
    before = version_before(batch.ledger, table, APP, batch.seq)
    known = batch.lake.read(table, before if before >= 0 else None)
    if before < 1:  # nothing is there that a change could alter
        batch.append(table, build(new, known), at_most=batch.at_most(form.topic))
        return
    lost = lost_places(batch, form, contest)
    keys, removed = new.select(key), None
    if lost is not None:
        gone = known.join(lost, on=list(PLACE), how="left_semi").select(key, "event_id")
        keys = keys.union(gone.select(key))
        removed = gone.join(new.select(key, "event_id"), on=[key, "event_id"], how="left_anti")
        known = without(known, lost)
    rows = build(new, known.join(keys.distinct(), on=[key], how="left_semi"))
    if lost is not None:  # a key that only lost a row has no new one to take the batch's number from
        rows = rows.withColumn("ingest_seq", F.lit(batch.seq).cast("bigint"))
    merge = batch.lake.merge_few if batch.at_most(form.topic) <= SMALL else batch.lake.merge
    merge(table, rows, [key, "event_id"], app=APP, version=batch.seq, metadata=batch.note, removed=removed)


def lost_places(batch: Batch, form: Form, contest: Contest) -> "DataFrame | None":
    """Where the rows of silver came from that an earlier arrival displaced, or that are taken back."""
    displaced, back = contest.places(is_new=False), batch.retracted.get(form.topic)
    taken = back.rows if back is not None and back.losses else None
    found = [each.select(*PLACE) for each in (displaced, taken) if each is not None]
    return reduce(lambda one, other: one.unionAll(other), found) if found else None
