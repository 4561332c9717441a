"""Repairing a table: what ails it is looked for, and mended by who knows how to; nothing is deleted."""

from collections.abc import Callable
from typing import Any

from jobs.lake.ailments import HISTORY, LANDED, UNDONE, Ailment, Kind, ailments_of
from jobs.lake.aside import Mended
from jobs.lake.file_digests import TABLE as DIGESTS
from jobs.lake.ingest.landings import TABLE as LANDINGS
from jobs.lake.ingest.progress import BOOKS, HOURS, SEQUENCES
from jobs.lake.leases import Lease
from jobs.lake.lost_commits import is_made_of_bronze, lacks_rows, lost_commit_of
from jobs.lake.mending import mend_log, refuse_the_rest
from jobs.lake.publications import TABLE as PUBLICATIONS
from jobs.lake.remaking.from_files import note_again
from jobs.lake.remaking.from_releases import tell_again
from jobs.lake.settings import Settings

Opener = Callable[[Settings], Any]


def mend(
    settings: Settings, table: str, run_id: str, open_spark: Opener | None = None, *, accept_loss: bool = False
) -> Mended | None:
    """Mend one table; None when nothing ails it, UsageError for what no command mends.

    Spark is opened for data files, and for a commit that is made again.
    """
    from jobs.lake.session import open_session

    opener, hurt = open_spark or open_session, ailments_of(settings, table)
    if table == BOOKS and not hurt:
        return mend_books(settings, run_id, opener, accept_loss=accept_loss)
    if table in (SEQUENCES, HOURS):
        refuse_the_rest(hurt)
        return count_again(settings, table, hurt, run_id, opener, accept_loss=accept_loss)
    is_of_bronze = not hurt and is_made_of_bronze(settings, table)
    found = hurt or ([] if is_of_bronze else lost_commit_of(settings, table))
    if not (found or is_of_bronze):
        return mend_unseen(settings, table, run_id, opener, accept_loss=accept_loss)
    refuse_the_rest(found)
    if table in (PUBLICATIONS, DIGESTS):
        return make_anew(settings, table, run_id, accept_loss=accept_loss)
    if all(each.kind is Kind.data for each in found):  # none of what is made of bronze
        return mend_data(settings, table, run_id, opener, accept_loss=accept_loss)
    return mend_commits(settings, table, found, run_id, opener, accept_loss=accept_loss)


def make_anew(settings: Settings, table: str, run_id: str, *, accept_loss: bool) -> Mended:
    """Set a table aside, whole, and write it anew from what tells the same."""
    if table == DIGESTS:
        return note_again(settings, run_id)
    return tell_again(settings, run_id, accept_loss=accept_loss)


def mend_books(settings: Settings, run_id: str, open_spark: Opener, *, accept_loss: bool) -> Mended | None:
    """Write lines of the books again that are gone; None when none are."""
    from jobs.lake.remaking.booked_again import rebook

    return rebook(settings, run_id, open_spark, accept_loss=accept_loss)


def count_again(
    settings: Settings, table: str, hurt: list[Ailment], run_id: str, open_spark: Opener, *, accept_loss: bool
) -> Mended | None:
    """Count producers' numbers, or hours of the books, again where they are hurt or gone; None when none are."""
    from jobs.lake.remaking import hours_again
    from jobs.lake.remaking.from_arrivals import recount

    if table == SEQUENCES:
        return recount(settings, hurt, run_id, open_spark)
    return hours_again.count_again(settings, hurt, run_id, open_spark, accept_loss=accept_loss)


def mend_unseen(settings: Settings, table: str, run_id: str, open_spark: Opener, *, accept_loss: bool) -> Mended | None:
    """Mend what no file of the table tells: rows that the books miss, a publication that a killed repair left."""
    if lacks_rows(settings, table):
        return mend_data(settings, table, run_id, open_spark, accept_loss=accept_loss)
    return mend_publication(settings, run_id) if table == HISTORY else None


def mend_publication(settings: Settings, run_id: str) -> Mended | None:
    """Publish the history as a repair left it that was killed; None when none was."""
    from jobs.lake.remaking.from_versions import publish_recalled

    return publish_recalled(settings, run_id)


def tidy(settings: Settings, run_id: str) -> None:
    """Take away what was made beside the lake, once all tables are mended, or one could not be."""
    from jobs.lake.remaking.shadow import clear

    clear(settings, run_id)


def mend_data(settings: Settings, table: str, run_id: str, open_spark: Opener, *, accept_loss: bool) -> Mended:
    """Put the rows of hurt data files back from where they came from."""
    from jobs.lake.remaking.from_books import keep_again
    from jobs.lake.remaking.from_bronze import remake
    from jobs.lake.remaking.from_topics import reland
    from jobs.lake.remaking.from_versions import recall

    if table == LANDED:
        return reland(settings, run_id, open_spark, accept_loss=accept_loss)
    if table == LANDINGS:
        return keep_again(settings, run_id, open_spark)
    if table == HISTORY:
        return recall(settings, run_id, open_spark, accept_loss=accept_loss)
    return remake(settings, table, run_id, open_spark, accept_loss=accept_loss)


def mend_commits(
    settings: Settings, table: str, found: list[Ailment], run_id: str, open_spark: Opener, *, accept_loss: bool
) -> Mended:
    """Set bad files of a log aside; a newest commit among them is made again."""
    from jobs.lake.remaking.from_books import undo_and_keep_again
    from jobs.lake.remaking.from_bronze import remake
    from jobs.lake.remaking.landed import land_again
    from jobs.lake.remaking.released import release_again

    undone = [each for each in found if each.kind in UNDONE]
    if undone and table == LANDINGS:
        return undo_and_keep_again(settings, found, run_id)
    if undone and table == LANDED:
        return land_again(settings, found, run_id, open_spark)
    if undone and undone[0].family:
        return release_again(settings, table, found, run_id, open_spark)

    def again(held: Lease | None) -> Mended:
        return remake(settings, table, run_id, open_spark, accept_loss=accept_loss, held=held)

    return mend_log(settings, table, found, run_id, again)
