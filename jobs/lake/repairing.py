"""Repairing a table: what ails it is looked for, and mended by who knows how to; nothing is deleted."""

from collections.abc import Callable
from typing import Any

from jobs.lake.ailments import HISTORY, LANDED, UNDONE, Ailment, Kind, ailments_of
from jobs.lake.aside import Mended
from jobs.lake.mending import mend_log, refuse_the_rest
from jobs.lake.settings import Settings

Opener = Callable[[Settings], Any]


def mend(
    settings: Settings, table: str, run_id: str, open_spark: Opener | None = None, *, accept_loss: bool = False
) -> Mended | None:
    """Mend one table; None when nothing ails it, UsageError for what no command mends.

    Spark is opened for data files, and for a commit that is made again.
    """
    from jobs.lake.session import open_session

    found, opener = ailments_of(settings, table), open_spark or open_session
    if not found:
        return None
    refuse_the_rest(found)
    if all(each.kind is Kind.data for each in found):
        return mend_data(settings, table, found, run_id, opener, accept_loss=accept_loss)
    return mend_commits(settings, table, found, run_id, opener)


def mend_data(
    settings: Settings, table: str, found: list[Ailment], run_id: str, open_spark: Opener, *, accept_loss: bool
) -> Mended:
    """Put the rows of hurt data files back from where they came from."""
    from jobs.lake.remaking.from_bronze import remake
    from jobs.lake.remaking.from_topics import reland
    from jobs.lake.remaking.from_versions import recall

    if table == LANDED:
        return reland(settings, found, run_id, open_spark, accept_loss=accept_loss)
    if table == HISTORY:
        return recall(settings, found, run_id, open_spark, accept_loss=accept_loss)
    return remake(settings, table, found, run_id, open_spark, accept_loss=accept_loss)


def mend_commits(settings: Settings, table: str, found: list[Ailment], run_id: str, open_spark: Opener) -> Mended:
    """Set bad files of a log aside; a newest commit among them is made again."""
    from jobs.lake.remaking.landed import land_again
    from jobs.lake.remaking.released import release_again

    undone = [each for each in found if each.kind in UNDONE]
    if undone and table == LANDED:
        return land_again(settings, found, run_id, open_spark)
    if undone and undone[0].family:
        return release_again(settings, table, found, run_id, open_spark)
    return mend_log(settings, table, found, run_id)
