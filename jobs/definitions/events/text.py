"""Reading the text of a body that is not plain, and knowing that nothing was lost in the reading.

Plain bodies are read by a kernel (`jobs.definitions.events.scanned`). The others, few, go through Spark's JSON reader,
which is forgiving: it stops at the end of the first document and says nothing of it. So one number is added to the text
as its last field (`closed`): only a text that is one object to its last character brings it back.
"""

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import LongType, StringType, StructField, StructType

CLOSING = "z__"
CORRUPT = "_corrupt_record"
STRICT = {"allowSingleQuotes": "false", "allowNonNumericNumbers": "false", "mode": "PERMISSIVE"}
WHITE = " \t\r\n"


def trimmed(value: Column) -> Column:
    """The bytes as text without the white space that JSON allows around a document."""
    return F.rtrim(value.cast("string"), F.lit(WHITE))


def closed(text: Column) -> Column:
    """The text with its own length as the object's last field; null for a text that does not end an object."""
    body = F.substring(text, F.lit(1), F.length(text) - 1)
    marked = F.concat(body, F.lit(f',"{CLOSING}":'), F.octet_length(text).cast("string"), F.lit("}"))
    return F.when(text.endswith("}"), marked)


def parsed(text: Column, struct: StructType) -> Column:
    """The body as a struct, with the closing number and the reader's complaint as further fields."""
    fields = [*struct.fields, StructField(CLOSING, LongType()), StructField(CORRUPT, StringType())]
    return F.from_json(closed(text), StructType(fields), STRICT)


def is_whole(text: Column, body: Column) -> Column:
    """Whether the text is one JSON object from its first character to its last."""
    return F.coalesce(body[CLOSING] == F.octet_length(text), F.lit(False))
