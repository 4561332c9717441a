"""Values as JSON, in the same letters on any engine: such a text is a key, or goes into a hash that is kept."""

from functools import reduce

from pyspark.sql import Column
from pyspark.sql import functions as F

MARK = "\x01"  # JSON escapes it, so it stands in no text of JSON
WITH_LETTERS = tuple(f"{sign:02x}" for sign in (0x0B, 0x0E, 0x0F, *range(0x1A, 0x20)))  # \b, \t, \n, \f, \r are short


def json_text(value: Column) -> Column:
    """A struct, list or map as JSON; instants are left to each engine.

    Spark writes the number of a control character in capitals, the engine of small runs (docs/adr/0025) does not.
    """
    text = F.to_json(value)
    return F.when(text.contains(r"\u00"), _in_capitals(text)).otherwise(text)


def _in_capitals(text: Column) -> Column:
    """The same JSON, its escapes in capitals; what only looks like one, after an escaped backslash, stays."""
    plain = F.replace(text, F.lit("\\\\"), F.lit(MARK))
    told = reduce(
        lambda so_far, sign: F.replace(so_far, F.lit(rf"\u00{sign}"), F.lit(rf"\u00{sign.upper()}")),
        WITH_LETTERS,
        plain,
    )
    return F.replace(told, F.lit(MARK), F.lit("\\\\"))
