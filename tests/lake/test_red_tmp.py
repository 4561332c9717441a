from __future__ import annotations
from dataclasses import replace
import pytest
from jobs.lake.remaking import from_bronze, from_topics, from_versions, landed, released, shadow, wounds, plans
from jobs.lake.remaking.plans import remembered
from jobs.lake.ingest.batch import Batch
from jobs.lake.plain_scan import PlainScan
from tests.lake.test_remaking import *
from tests.lake.test_remaking import (
    test_hurt_files_are_made_again_from_bronze as t_hurt,
    test_the_ledger_is_told_as_it_was_when_all_of_it_is_hurt as t_ledger,
    test_a_repair_that_was_killed_adds_no_row_twice as t_killed,
    test_bronze_is_read_again_from_the_topics as t_bronze,
    test_what_the_topics_hold_no_more_is_named_and_lost_only_when_that_is_accepted as t_loss,
    test_rows_that_bronze_does_not_give_are_not_guessed as t_keys,
    test_a_torn_commit_of_bronze_is_landed_again as t_torn,
    test_a_torn_commit_of_bronze_whose_records_are_gone_stays as t_gone,
)
import tests.lake.test_remaking as r

for n in [n for n in dir() if n.startswith("test_")]:
    del globals()[n]

R = {
    "forget": (lambda p: p.setattr(wounds, "forget", lambda w: None), lambda s, m, p: t_hurt(s, "silver.users", 9)),
    "only": (
        lambda p: p.setattr(shadow, "Batch", lambda *a, only, **k: Batch(*a, **k)),
        lambda s, m, p: t_hurt(s, "silver.users", 9),
    ),
    "left_out": (
        lambda p: p.setattr(wounds, "PlainScan", lambda a, b, c: PlainScan(a, b)),
        lambda s, m, p: t_hurt(s, "silver.users", 9),
    ),
    "memory": (
        lambda p: p.setattr(from_bronze, "remembered", lambda l: replace(remembered(l), runs={}, times={})),
        lambda s, m, p: t_hurt(s, BOOKS, 1),
    ),
    "costs": (lambda p: p.setattr(plans, "COSTS", "ops.runs"), lambda s, m, p: t_ledger(s)),
    "keys": (lambda p: p.setattr(from_bronze, "are_known", lambda *a: True), lambda s, m, p: t_keys(s)),
    "replaced": (
        lambda p: p.setattr(wounds, "replaced", lambda d: frozenset()),
        lambda s, m, p: t_killed(bare_of(s), m, p),
    ),
    "loss": (
        lambda p: p.setattr(from_topics, "refuse_loss", lambda *a, **k: None),
        lambda s, m, p: t_loss(bare_of(s), m),
    ),
    "held": (
        lambda p: p.setattr(from_topics, "held", lambda s, r: (list(r), [])),
        lambda s, m, p: t_loss(bare_of(s), m),
    ),
    "land": (lambda p: p.setattr(landed, "land_booked", lambda *a: None), lambda s, m, p: t_torn(s, m, is_booked=True)),
    "begun": (
        lambda p: p.setattr(landed, "refuse_begun", lambda *a: None),
        lambda s, m, p: t_torn(s, m, is_booked=False),
    ),
    "gone": (lambda p: p.setattr(landed, "held", lambda s, r: (list(r), [])), lambda s, m, p: t_gone(s)),
    "unread bronze": (
        lambda p: p.setattr(from_bronze, "refuse_unready", lambda *a: None),
        lambda s, m, p: t_bronze(bare_of(s), m),
    ),
}


def bare_of(s):
    for file in s.files(BRONZE)[::2]:
        file.unlink()
    return s


@pytest.mark.parametrize("name", R)
def test_red(name, shop, made, monkeypatch):
    mutate, play = R[name]
    with monkeypatch.context() as p:
        mutate(p)
        with pytest.raises((Exception, pytest.fail.Exception)) as e:
            play(shop, made, p)
    print("RED", name, type(e.value).__name__, str(e.value)[:300].replace("\n", " | "))
