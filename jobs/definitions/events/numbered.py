r"""Who sent a record, and under which number: `producer` of its body, read alone, so that of a refused record is, too.

Found in the text by patterns, as long as it is the first object inside the body's; a text that is written otherwise is
looked at closely.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.definitions.events.closely import look

if TYPE_CHECKING:
    from jobs.lake.event_contracts import EventField

WHITE = r"[ \t\r\n]*"
OPENED = rf'"producer"{WHITE}:{WHITE}(?P<it>\{{[^{{}}]*\}})'
FIRST = rf"^{WHITE}\{{[^{{]*{OPENED}"
WORTH_A_LOOK = r"producer|\\u"  # the name, or what may spell it
VALUES = {"id": r'"(?P<it>[ !#-\[\]-~]{1,128})"', "epoch": r"(?P<it>\d{1,16})", "seq": r"(?P<it>\d{1,16})"}
PARTS = {name: rf'[{{,]{WHITE}"{name}"{WHITE}:{WHITE}{value}{WHITE}[,}}]' for name, value in VALUES.items()}
MOST, LONGEST = 2**53 - 1, 128  # what the contract of the envelope allows a number, and letters of an id
NUMBERED = pa.schema(
    [("row", pa.int64()), ("producer_id", pa.string()), ("producer_epoch", pa.int64()), ("producer_seq", pa.int64())]
)
SENDER = tuple(NUMBERED.names[1:])


def numbered(values: pa.Array, producer: "EventField") -> pa.Table:
    """Of each body (bytes) that says who sent it, `row` and what it says (NUMBERED); `producer` is its contract."""
    is_plain = np.asarray(pc.fill_null(pc.match_substring_regex(values, FIRST), False))
    plain = _by_patterns(values.filter(pa.array(is_plain)), np.flatnonzero(is_plain))
    is_odd = np.array(pc.fill_null(pc.match_substring_regex(values, WORTH_A_LOOK), False))
    is_odd[np.asarray(plain["row"])] = False
    rows = np.flatnonzero(is_odd).tolist()
    told = [(row, _told(values[row].as_py(), producer)) for row in rows]
    odd = [{"row": row, **said} for row, said in told if said is not None]
    both = pa.concat_tables([plain, pa.Table.from_pylist(odd, NUMBERED)])
    within = (pc.field("producer_epoch") <= MOST) & (pc.field("producer_seq") <= MOST)
    return both.filter(within)


def _by_patterns(values: pa.Array, rows: "np.ndarray[Any, np.dtype[np.int64]]") -> pa.Table:
    """The bodies in which all three parts are found."""
    texts = pc.struct_field(pc.extract_regex(values, OPENED), "it")
    parts = [pc.struct_field(pc.extract_regex(texts, part), "it").cast(pa.string()) for part in PARTS.values()]
    found = pa.table([pa.array(rows, pa.int64()), *parts], names=NUMBERED.names)
    whole = [pc.field(name).is_valid() for name in SENDER]
    return found.filter(whole[0] & whole[1] & whole[2]).cast(NUMBERED)


def _told(raw: bytes, producer: "EventField") -> dict[str, Any] | None:
    """The same of one body by a close look; None where it does not say."""
    body = look(raw, [producer]).body
    said = (body or {}).get("producer") or {}
    name, epoch, seq = (said.get(part) for part in PARTS)
    if not name or len(name) > LONGEST or epoch is None or seq is None or min(epoch, seq) < 0:
        return None
    return {"producer_id": name, "producer_epoch": epoch, "producer_seq": seq}
