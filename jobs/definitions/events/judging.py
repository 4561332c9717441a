"""Taken or refused: every rule a record must keep, as a yes or no, and for the refused as the list of reasons.

Both come from the same conditions. Reading `is_taken` is the common case and cheap; `reasons` is for the few refused.
"""

from collections.abc import Iterator
from functools import cache
from operator import or_

from pyspark.sql import Column
from pyspark.sql import functions as F

from jobs.definitions import clock
from jobs.definitions.balanced import joined
from jobs.definitions.events.form import Form

MISTYPED = "wrong_type:"
Check = tuple[str, str, Column]  # reason, the field it is about ("" for none), true where broken


@cache
def is_taken(form: Form) -> Column:
    """Whether a reading keeps every rule; a tombstone is taken on entity topics, by its key alone."""
    value = F.col("value")
    torn = F.coalesce(F.size("torn") > 0, F.lit(False))
    broken = [condition for _, condition in header_checks(form)] + [condition for _, _, condition in checks(form)]
    good = value.isNotNull() & ~is_keyless() & ~joined(or_, broken) & ~torn
    return (good | (value.isNull() & ~is_keyless())) if form.role == "entity" else good


@cache
def reasons(form: Form) -> Column:
    """Every reason to refuse a reading, as a list, empty for one that is taken.

    What cannot be read has no fields to judge, and a field of the wrong type is refused for nothing but that.
    """
    keyless = given([("empty_key", is_keyless())])
    headers, torn = given(header_checks(form)), F.coalesce(F.col("torn"), F.array().cast("array<string>"))
    mistyped = F.transform(F.filter(torn, is_about_type), lambda reason: F.substring_index(reason, ":", -1))
    broken = given([(reason, hits & ~F.array_contains(mistyped, path)) for reason, path, hits in checks(form)])
    tombstone = given([("tombstone", F.lit(form.role != "entity"))])
    found = (
        F.when(F.col("value").isNull(), tombstone)
        .when(F.size(headers) > 0, headers)
        .when(F.col("is_unread"), torn)
        .otherwise(F.concat(torn, broken))
    )
    return F.array_distinct(F.concat(keyless, found))


def given(conditions: list[tuple[str, Column]]) -> Column:
    """The names of the conditions that hold, as a list; of a type that lists from elsewhere have, too."""
    named = F.array_compact(F.array(*(F.when(holds, F.lit(name)) for name, holds in conditions)))
    return named.cast("array<string>")


def is_about_type(reason: Column) -> Column:
    """Whether a reason says that a field has the wrong type."""
    return reason.startswith(MISTYPED)


def is_keyless() -> Column:
    """Whether the record has no key, or an empty one."""
    return F.coalesce(F.col("key") == "", F.lit(True))


def header_checks(form: Form) -> list[tuple[str, Column]]:
    """What the headers must say before the body is worth a look."""
    kind, source = F.col("ce_type"), F.col("source_uri")
    named = next(iter(form.versions)).rpartition(".v")[0]  # reelhouse.view
    number = F.substring_index(kind, ".v", -1)
    # compared whole: the names of two topics begin with a v themselves (reelhouse.view.v1)
    is_ours = (kind == F.concat(F.lit(f"{named}.v"), number)) & number.rlike(r"\A[0-9]{1,9}\z")
    absent = kind.isNull() & source.isNull() & F.col("ce_id").isNull()
    return [
        ("no_headers", absent),
        ("bad_header:ce_type", kind.isNull() & ~absent),
        ("bad_header:ce_source", F.coalesce(source == "", F.lit(True)) & ~absent),
        ("bad_header:ce_id", F.col("ce_id").isNull() & ~absent),
        ("unknown_type", F.coalesce(~is_ours, F.lit(False))),
        ("unknown_version", F.coalesce(is_ours, F.lit(False)) & F.col("schema_version").isNull()),
    ]


def checks(form: Form) -> list[Check]:
    """Every condition on a body that was read, with the field it is about."""
    own = [(reason, reason.partition(":")[2], hits) for reason, hits in form.rules if reason != "bad_event_id"]
    looked = [
        (reason, path, of_odd_bodies(hits) if reason.startswith(MISTYPED) else hits) for reason, path, hits in own
    ]
    return [*looked, *identity_checks(form), *time_checks(form)]


def of_odd_bodies(hits: Column) -> Column:
    """A check for null items, which a plain body (`scanned`) never has, so that nobody looks for them there."""
    return F.col("torn").isNotNull() & hits


def identity_checks(form: Form) -> Iterator[Check]:
    """The id is one of ours, and headers and key repeat what the body says."""
    event_id, key_id = F.col("body.event_id"), F.col(f"body.{form.key_field}")
    unfit = event_id.isNotNull() & F.col("id_date").isNull()
    yield "bad_event_id", "event_id", unfit
    yield "bad_header:ce_id", "event_id", F.coalesce(F.col("ce_id") != event_id, F.lit(False)) & ~unfit
    yield "key_mismatch", form.key_field, F.coalesce((F.col("key") != key_id) & (F.col("key") != ""), F.lit(False))


def time_checks(form: Form) -> Iterator[Check]:
    """The time can be believed: neither ahead, nor ages ago, nor outside what a replay declared."""
    at, arrived = F.col("at_us"), F.col("arrived_us")
    source, declared = F.col("source_uri"), F.col("declared_range")
    if form.role == "control":
        return
    yield "future_time", "event_time", clock.is_ahead(at, arrived)
    old = clock.is_unbelievably_old(at, arrived, source) if form.role == "fact" else F.lit(False)
    yield "past_time", "event_time", clock.is_before_all(at) | old
    yield "bad_header:ce_replayrange", "", clock.lacks_range(source, declared)
    yield "outside_declared_range", "event_time", clock.is_outside_range(at, source, declared)
