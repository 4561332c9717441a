"""Signs that nobody is there: rules simple enough to say to the person concerned."""

from pyspark.sql import Column

BOT_MIN_PLAYS = 100
BOT_VALID_VIEWS_IN_20 = 1


def is_suspected_bot(plays: Column, valid_views: Column) -> Column:
    """At least 100 videos started, and all but one in twenty left within three seconds: nobody looks on like that."""
    return (plays >= BOT_MIN_PLAYS) & (valid_views * 20 <= plays * BOT_VALID_VIEWS_IN_20)
