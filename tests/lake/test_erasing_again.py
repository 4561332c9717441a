"""Erasures of those who were erased before, whose pseudonym alone is known, or of whom gold alone knows."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyarrow.compute as pc
import pytest
from pyspark.sql import SparkSession

from jobs.lake.errors import KeyFileError, UsageError
from jobs.lake.identity import pseudonym_of
from jobs.lake.ingest.landing import land
from jobs.lake.ingest.planning import plan
from jobs.lake.ingest.progress import progress
from jobs.lake.kill_points import heard
from jobs.lake.settings import Settings
from jobs.upkeep.proving import LIVE, traces
from tests.lake.erasing_shop import OTHER, WHO, Shop, view
from tests.lake.funnel_histories import filled
from tests.lake.logs import NOON, Log, Record

HISTORY = "gold.user_profiles_history"


def test_each_request_is_about_all_that_was_before_it_on_their_devices_too(spark: SparkSession, tmp_path: Path) -> None:
    """Though the lake has nothing of them, some may be unread; which devices are theirs only the first erasure saw."""
    shop = Shop(Settings(home=tmp_path, key_file=tmp_path / "keys.json"), spark, Log())
    shop.ingest([view(1, WHO, device_id="d-own"), view(2, WHO, device_id="d-sold"), view(3, "u3")])
    assert shop.erase(hour=1) == 1
    sold = [view(4, OTHER, hour=2, device_id="d-sold"), view(5, "d-sold", hour=2, device_id="d-sold")]
    tombstone = Record("users", WHO.encode(), None, None, NOON + timedelta(hours=2), 0)  # from the topic's owner
    shop.ingest([*sold, view(6, WHO, hour=2), view(7, "d-own", hour=2, device_id="d-own"), tombstone])
    assert shop.books() == Counter(accepted=6, erased=2)
    assert shop.erase(hour=3) == 3, "who came back, and went again"
    assert shop.books() == Counter(accepted=3, erased=5)
    assert shop.erase(hour=5) == 4, "nothing is there"
    assert shop.erase(hour=5) is None
    unread = [
        view(8, WHO, hour=4),
        view(9, "d-own", hour=4, device_id="d-own"),
        view(10, "d-sold", hour=4, device_id="d-sold"),
    ]
    late = [replace(each, at=NOON + timedelta(hours=6)) for each in unread]
    shop.ingest([*late, view(11, WHO, hour=6)])
    assert shop.books() == Counter(accepted=5, erased=7)


def test_what_an_orphan_landed_under_the_erasures_number_is_ended_and_the_erasure_comes_next(
    spark: SparkSession, tmp_path: Path
) -> None:
    """A killed ingest's append goes on in the server, and Delta skips the commit of the erasure in silence."""
    shop = Shop(Settings(home=tmp_path, key_file=tmp_path / "keys.json"), spark, Log())
    ended = shop.ingest([view(1, WHO), view(2, OTHER)])
    shop.log.put([view(3, WHO), view(4, OTHER)])
    points: list[str] = []

    def orphan(point: str) -> None:
        points.append(point)
        if points == ["erase.before_bronze"]:
            with pytest.MonkeyPatch.context() as patch:
                shop.log.installed(patch)
                land(ended.lake(), plan(shop.settings, progress(ended.ledger)))

    with heard(orphan):
        assert shop.erase() == 2
    assert points.count("erase.before_bronze") == 2
    assert shop.books() == Counter(accepted=2, erased=2)


def test_a_pseudonym_finds_what_has_another_one_under_another_key(spark: SparkSession, tmp_path: Path) -> None:
    shop = Shop(Settings(home=tmp_path, key_file=tmp_path / "keys.json"), spark, Log())
    shop.ingest([view(1, WHO), view(2, OTHER)])
    old, file = pseudonym_of(WHO, shop.settings.keys_path), shop.settings.keys_path
    keys = json.loads(file.read_text())
    file.write_text(json.dumps({"current": "k2", "keys": keys["keys"] | {"k2": "ab" * 32}}))
    torn = Record("views", None, f'{{"user_id": "{WHO}", "vi'.encode(), None, NOON, 0)
    shop.ingest([view(3, WHO), view(4, OTHER), torn])
    assert shop.erase(old) == 2
    assert shop.books() == Counter(accepted=2, erased=3)
    assert {trace.table for trace in traces(shop.settings, WHO) if trace.where == LIVE} == {"ops.touched"}
    with pytest.raises(KeyFileError, match="key id 'k9' is unknown"):
        shop.erase("k9:" + "0" * 32)
    file.unlink()
    for begun in (lambda: shop.ingest([view(5, WHO)]), shop.erase):
        with pytest.raises(KeyFileError, match="put the key file back"):
            begun()


def test_who_is_known_to_the_history_alone_is_told_to_gold(spark: SparkSession, tmp_path: Path) -> None:
    """Their rows of silver are gone, as after a replay was undone; what was known of them then is not."""
    shop = Shop(Settings(home=tmp_path, key_file=tmp_path / "keys.json"), spark, Log())
    run, whose = shop.ingest([view(1, OTHER)]), pseudonym_of(WHO, shop.settings.keys_path)
    run.ledger.append(HISTORY, [filled(HISTORY, user_id=whose)])
    with pytest.raises(UsageError, match="--reason names the person"):
        shop.erase(why=f"request of {WHO}")
    assert shop.erase() == 1
    (line,) = run.ledger.read("ops.touched", filter=pc.field("cause") == "erased").to_pylist()
    assert (line["subject"], line["table"], line["rows"]) == (whose, "silver.users", 0)
    (told,) = run.ledger.read("ops.erasures", ["row_counts"]).to_pylist()
    assert dict(told["row_counts"]) == {HISTORY: 1}
