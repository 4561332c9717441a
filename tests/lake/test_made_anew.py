"""A family whose files are hurt is made anew from silver, and is what it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from jobs.lake.ailments import Kind, ailments_of
from jobs.lake.ledger import Ledger
from jobs.lake.publications import families
from jobs.lake.settings import Settings
from jobs.serve.tables import arrow_of, published_version
from tests.lake.small_shop import publish


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


def test_what_is_nowhere_else_is_put_back_from_a_copy(tmp_path: Path) -> None:
    from jobs.lake.ailments import maker_of

    settings = Settings(home=tmp_path)
    assert maker_of(settings, "gold.user_profiles") == "profiles"
    assert maker_of(settings, "gold.user_profiles_history") == ""
    assert maker_of(settings, "silver.views") == ""
    assert maker_of(settings, "bronze.events") == ""
