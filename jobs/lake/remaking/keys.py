"""Whether the keys of today are those that the people of silver got their names by.

Where rows of a table stand they tell; where none does, the people of another table are asked.
"""

from pyspark.sql import functions as F

from jobs.definitions.firsts import PLACE
from jobs.lake.identity import pseudonym_of
from jobs.lake.ingest.forms import key_field, silver_table
from jobs.lake.ingest.progress import BRONZE
from jobs.lake.ingest.refusals import IN_BRONZE
from jobs.lake.remaking.wounds import Wound, standing
from jobs.lake.tables import Lake
from jobs.lake.topics import ENTITIES, FACTS

PEOPLE = {"user_id", "subject"}  # columns that name somebody


def are_known(lake: Lake, wound: Wound) -> bool:
    """Whether the keys are proven, or need not be: nobody is named in the table, or some of its rows stand."""
    return bool(wound.standing) or not PEOPLE & set(lake.contract(wound.table).names) or are_those_of_silver(lake)


def are_those_of_silver(lake: Lake) -> bool:
    """Whether they make of a record's user the name that a row of silver made from it has; no, where there is none."""
    for topic in (each for each in (*FACTS, *ENTITIES) if key_field(each) == "user_id"):
        row = standing(lake, silver_table(topic)).select("user_id", *PLACE).first()
        if row is not None:
            is_it = [F.col(there) == F.lit(row[here]) for here, there in zip(PLACE, IN_BRONZE, strict=True)]
            record = lake.read(BRONZE).where(is_it[0] & is_it[1] & is_it[2]).select("key").first()
            return (
                record is not None and pseudonym_of(record["key"].decode(), lake.settings.keys_path) == row["user_id"]
            )
    return False
