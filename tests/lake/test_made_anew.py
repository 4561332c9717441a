"""A family whose files are hurt is made anew from silver, and is what it was."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from shutil import copytree, rmtree

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from jobs.lake.ailments import Kind, ailments_of
from jobs.lake.begun_again import begin_again
from jobs.lake.clock import now
from jobs.lake.errors import DamageError, UsageError
from jobs.lake.ledger import Ledger
from jobs.lake.lost_commits import lost_commits
from jobs.lake.publications import families, latest
from jobs.lake.repairing import mend
from jobs.lake.runner import Runner
from jobs.lake.settings import Settings
from jobs.serve.tables import arrow_of, published_version
from jobs.upkeep.rounds import Round
from tests.lake.conftest import as_it_was
from tests.lake.small_shop import ingest, late_view, publish, put


def rows(settings: Settings, table: str) -> list[str]:
    found = arrow_of(settings, table, published_version(settings, table, None, None))
    return sorted(map(str, found.to_pylist()))


@pytest.mark.parametrize("hurt", ["gone", "changed"])
def test_whatever_file_of_a_family_is_hurt_it_is_made_anew_as_it_was(
    published: Settings, spark: SparkSession, hurt: str
) -> None:
    publish(published, spark)
    tables = families(published.schemas_dir)["funnels"]
    before = {table: rows(published, table) for table in tables}
    hurt_tables = []
    for table in tables:
        for uri in DeltaTable(Ledger(published).path(table)).file_uris():
            file = Path(uri)
            file.unlink() if hurt == "gone" else file.write_bytes(file.read_bytes()[:-4] + b"XXXX")
            hurt_tables.append(table)
    assert len(hurt_tables) > 2
    found = [one for table in tables for one in ailments_of(published, table)]
    assert {one.table for one in found} == set(hurt_tables)
    assert {(one.kind, one.remedy) for one in found} == {
        (Kind.data, "run `reelhouse build funnels --anew`, `check` and `release`")
    }
    publish(published, spark, is_anew=True)
    assert {table: rows(published, table) for table in tables} == before
    assert [one for table in tables for one in ailments_of(published, table)] == []


def test_a_published_table_that_is_gone_is_named_and_its_family_made_anew(
    published: Settings, spark: SparkSession, tmp_path: Path
) -> None:
    """Until it is released nobody sees it empty, nor takes it for the old one; then all goes on as before."""
    shop, whole = (at(published, Path(copytree(as_it_was(published), tmp_path / name))) for name in ("hurt", "whole"))
    publish(shop, spark)
    tables, ledger, gone = (
        families(shop.schemas_dir)["funnels"],
        Ledger(shop),
        ("gold.funnel_daily", "gold.funnel_attempts"),
    )
    before = {table: rows(shop, table) for table in tables}
    first = published_version(shop, gone[0], None, "1")
    for table in gone:
        rmtree(ledger.path(table))
    anew = "run `reelhouse build funnels --anew`, `check` and `release`"
    assert [(one.table, one.kind, one.remedy) for one in lost_commits(shop)] == [
        (table, Kind.gone, anew) for table in sorted(gone)
    ]
    with pytest.raises(UsageError, match="which this command cannot mend: run `reelhouse build funnels --anew`"):
        mend(shop, gone[0], "test", lambda _: spark)
    runner = Runner(shop, "funnels", "test", lambda _: spark)
    for _ in range(2):  # and once it was begun again, which a killed run leaves behind
        with pytest.raises(DamageError, match="is not there any more; run `reelhouse build funnels --anew`"):
            runner.build(now(), full=True)
        begin_again(ledger, "funnels", published_versions(ledger))
    assert {one.table for one in lost_commits(shop)} == set(gone)
    with pytest.raises(UsageError, match="ask for a younger release"):
        rows(shop, gone[0])
    publish(shop, spark, is_anew=True)
    assert list(lost_commits(shop)) == []
    assert {table: rows(shop, table) for table in tables} == before
    with pytest.raises(UsageError, match="ask for a younger release"):
        arrow_of(shop, gone[0], first)
    for each in (shop, whole):
        put(each, [late_view()])
        ingest(each, spark)
        publish(each, spark)
    assert {table: rows(shop, table) for table in tables} == {table: rows(whole, table) for table in tables}
    done = Round(shop, "upkeep", timedelta(days=7), now(), print, many=1).tidy(tables)
    assert {each.table for each in done} == set(tables)
    assert {table: rows(shop, table) for table in tables} == {table: rows(whole, table) for table in tables}


def at(published: Settings, home: Path) -> Settings:
    """The shop at another home, with topics of its own."""
    return published.model_copy(update={"home": home, "kafka_bootstrap_servers": f"file:{home / 'topics'}"})


def published_versions(ledger: Ledger) -> dict[str, int]:
    """What readers see of the funnels."""
    last = latest(ledger, "funnels")
    assert last is not None
    return last.versions


def test_what_is_nowhere_else_is_put_back_from_a_copy(tmp_path: Path) -> None:
    from jobs.lake.ailments import maker_of

    settings = Settings(home=tmp_path)
    assert maker_of(settings, "gold.user_profiles") == "profiles"
    assert maker_of(settings, "gold.user_profiles_history") == ""
    assert maker_of(settings, "silver.views") == ""
    assert maker_of(settings, "bronze.events") == ""
