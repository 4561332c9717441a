"""What a command reads and writes, by the contracts: topics into silver, inputs into staging, staging into gold."""

from dataclasses import dataclass
from pathlib import Path

from jobs.lake.contracts import all_tables, contract
from jobs.lake.publications import families, inputs_of

STAGING = "staging."
TOPIC = "topic:"


@dataclass(frozen=True)
class Declared:
    """Names of the datasets of one command: tables, tables in staging (`staging.gold.…`), topics (`topic:…`)."""

    job: str
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


def declared(command: str, target: str, schemas_dir: Path) -> Declared:
    """The job of a command on a target; one that moves no rows, such as upkeep, reads and writes nothing."""
    job = f"{target.replace(' ', '_')}.{command.partition(' ')[0]}"
    if command == "ingest":
        return _ingest(job, schemas_dir)
    if (command, target) == ("rollback", "all"):
        return Declared(job, (), tuple(table for tables in families(schemas_dir).values() for table in tables))
    if target not in families(schemas_dir):
        return Declared(job)
    public = families(schemas_dir)[target]
    staged = tuple(f"{STAGING}{table}" for table in public)
    inputs = inputs_of(target, schemas_dir)
    return {
        "build": Declared(job, inputs, staged),
        "check": Declared(job, staged),
        "release": Declared(job, staged, public),
        "release --retry": Declared(job, inputs, public),
        "rollback": Declared(job, (), public),
    }.get(command, Declared(job))


def of_backfill(name: str, family: str, schemas_dir: Path) -> Declared:
    """A backfill makes a family anew from what the family reads."""
    return Declared(f"{name}.backfill", inputs_of(family, schemas_dir), families(schemas_dir)[family])


def of_erasure(schemas_dir: Path) -> Declared:
    """An erasure empties records, and deletes what ingest made of them; published tables follow by their builds."""
    written = _ingest("", schemas_dir).outputs
    return Declared("silver.erase", written, (*written, "ops.erasures"))


def of_repair(table: str, schemas_dir: Path) -> Declared:
    """A repair makes rows of bronze from the topics, what ingest made of them from bronze, any other from itself."""
    ingest = _ingest("", schemas_dir)
    made_of = (table,) if table not in (*ingest.outputs, "ops.books") else ("bronze.events",)
    return Declared(f"{table}.repair", ingest.inputs if table == "bronze.events" else made_of, (table,))


def of_replay(topic: str) -> Declared:
    """A replay sends refused records again."""
    return Declared(f"{topic}.replay", ("bronze.events", "silver.quarantine"), (f"{TOPIC}{topic}", "ops.replays"))


def of_undoing(topic: str) -> Declared:
    """An undoing says on `control` which replay is taken back."""
    return Declared(f"{topic}.undo", ("ops.replays", "silver.quarantine"), (f"{TOPIC}control", "ops.retractions"))


def _ingest(job: str, schemas_dir: Path) -> Declared:
    tables = [contract(table, schemas_dir) for table in all_tables(schemas_dir)]
    written = [each for each in tables if each.name.startswith(("bronze.", "silver.")) and not each.family]
    topics = sorted({name for each in written for name in each.inputs if name.startswith(TOPIC)})
    return Declared(job, tuple(topics), tuple(each.name for each in written))
