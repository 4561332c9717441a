r"""The kernel that reads bodies: one look at each byte, then every value's place is known or the text is not plain.

A text is plain when it is one JSON object of promised fields only, each once and of its promised type, in valid UTF-8,
without numbers beyond 64 bits and without `\u` escapes. Nothing is decided about other texts: they are looked at
closely elsewhere (`jobs.definitions.events.closely`). The tables that say what is promised are made in
`jobs.definitions.events.shape`; a negative position always means "not plain".
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from jobs.definitions.compiled import compiled, inlined

Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]
Flags = NDArray[np.bool_]

STRING, INTEGER, BOOLEAN, OBJECT, STRINGS, OBJECTS, STRING_MAP = range(7)  # kinds of fields
ABSENT = -1
ESCAPED = 1 << 40  # added to the length of a string that has escapes in it
LONGEST = 20_000_000  # bytes of a plain text
MOST_KEYS = 64  # of a map; each is compared with all before it

QUOTE, BACKSLASH, MINUS, COMMA, COLON = 34, 92, 45, 44, 58
OPEN, CLOSE, OPEN_LIST, CLOSE_LIST = 123, 125, 91, 93
ZERO, NINE, SPACE = 48, 57, 32
LETTER_N, LETTER_T, LETTER_F = 110, 116, 102
TENTH = -922_337_203_685_477_580  # of the least 64-bit number


class Shape(NamedTuple):
    """What is promised: objects as runs of fields, number 0 the body itself; a field has its place in each array.

    Field f is called `names[name_at[f]:name_at[f + 1]]`. `slot` is the row of the arrays its values go to (of the item
    arrays for strings in lists, for maps, whose values take the next one, and for parts of listed objects), `part` the
    number of the object inside or -1, `group` that of the list or map or -1. Object o has the fields
    first[o]:first[o + 1].
    """

    names: Bytes
    name_at: Ints
    kind: Ints
    slot: Ints
    part: Ints
    group: Ints
    first: Ints


class Found(NamedTuple):
    """Where the values are: by slot and row for scalars, by slot and item for what is in lists and maps.

    A value is the number itself or the place where a string begins; its size is ABSENT, 0 or the string's length.
    `counts` has the items by group and row, `filled` those of each group so far.
    """

    values: Ints
    sizes: Ints
    item_values: Ints
    item_sizes: Ints
    counts: Ints
    filled: Ints
    seen: Ints
    stamps: Ints


@inlined
def _past_white(text: Bytes, at: int, end: int) -> int:
    """The next place that is no white space."""
    while at < end and (text[at] == SPACE or text[at] == 10 or text[at] == 13 or text[at] == 9):
        at += 1
    return at


@inlined
def _is_word(text: Bytes, at: int, end: int, word: bytes) -> bool:
    """Whether the text goes on with `word`."""
    if at + len(word) > end:
        return False
    for place in range(len(word)):  # noqa: SIM110, the compiler knows no generators
        if text[at + place] != word[place]:
            return False
    return True


@inlined
def _past_character(text: Bytes, at: int, end: int) -> int:
    """The place after a character of several bytes (RFC 3629: none overlong, no surrogate, none above U+10FFFF)."""
    lead = text[at]
    if 0xC2 <= lead <= 0xDF:
        size, least, most = 2, 0x80, 0xBF
    elif 0xE0 <= lead <= 0xEF:
        size, least, most = 3, 0xA0 if lead == 0xE0 else 0x80, 0x9F if lead == 0xED else 0xBF
    elif 0xF0 <= lead <= 0xF4:
        size, least, most = 4, 0x90 if lead == 0xF0 else 0x80, 0x8F if lead == 0xF4 else 0xBF
    else:
        return -1
    if at + size > end or text[at + 1] < least or text[at + 1] > most:
        return -1
    for place in range(at + 2, at + size):
        if text[place] < 0x80 or text[place] > 0xBF:
            return -1
    return at + size


@inlined
def _is_simple_escape(letter: int) -> bool:
    r"""Whether `\` and this letter stand for one character: all but `\u`."""
    return letter in (QUOTE, BACKSLASH, 47, 98, 102, LETTER_N, 114, LETTER_T)


@inlined
def _closing_quote(text: Bytes, at: int, end: int) -> tuple[int, int]:
    """The place of the quote that ends a string begun before `at`, and ESCAPED or 0."""
    escaped = 0
    while at < end:
        letter = text[at]
        if letter == QUOTE:
            return at, escaped
        if letter < SPACE:
            return -1, 0
        if letter == BACKSLASH:
            if at + 1 >= end or not _is_simple_escape(text[at + 1]):
                return -1, 0
            escaped = ESCAPED
            at += 2
        elif letter < 0x80:
            at += 1
        else:
            at = _past_character(text, at, end)
            if at < 0:
                return -1, 0
    return -1, 0


@inlined
def _number(text: Bytes, at: int, end: int) -> tuple[int, int]:
    """The place after a whole number of 64 bits, and the number."""
    negative = text[at] == MINUS
    if negative:
        at += 1
    begin, value = at, 0
    while at < end and ZERO <= text[at] <= NINE:
        digit = int(text[at]) - ZERO
        if value < TENTH or (value == TENTH and digit > 8):
            return -1, 0
        value = value * 10 - digit
        at += 1
    if at == begin or (text[begin] == ZERO and at > begin + 1):
        return -1, 0
    if not negative and value == TENTH * 10 - 8:
        return -1, 0
    return at, value if negative else -value


@inlined
def _scalar(text: Bytes, at: int, end: int, kind: int, values: Ints, sizes: Ints, slot: int, column: int) -> int:
    """Take a string, whole number, boolean or null; the place after it."""
    letter = text[at]
    if kind == STRING and letter == QUOTE:
        close, escaped = _closing_quote(text, at + 1, end)
        if close < 0:
            return -1
        values[slot, column] = at + 1
        sizes[slot, column] = close - at - 1 + escaped
        return close + 1
    if kind == INTEGER and (letter == MINUS or ZERO <= letter <= NINE):
        after, value = _number(text, at, end)
        if after >= 0:
            values[slot, column] = value
            sizes[slot, column] = 0
        return after
    if kind == BOOLEAN and _is_word(text, at, end, b"true"):
        values[slot, column] = 1
        sizes[slot, column] = 0
        return at + 4
    if kind == BOOLEAN and _is_word(text, at, end, b"false"):
        values[slot, column] = 0
        sizes[slot, column] = 0
        return at + 5
    return at + 4 if _is_word(text, at, end, b"null") else -1


@inlined
def _field(text: Bytes, at: int, size: int, shape: Shape, owner: int, guess: int) -> int:
    """Which field of the object has this name; they mostly come in order, so `guess` is tried first."""
    first, last = shape.first[owner], shape.first[owner + 1]
    for step in range(last - first):
        field = guess + step
        if field >= last:
            field -= last - first
        begin = shape.name_at[field]
        if shape.name_at[field + 1] - begin != size:
            continue
        same = True
        for place in range(size):
            if shape.names[begin + place] != text[at + place]:
                same = False
                break
        if same:
            return field
    return -1


@inlined
def _next_field(text: Bytes, at: int, end: int, shape: Shape, owner: int, guess: int) -> tuple[int, int]:
    """Read a name and its colon: the place where the value begins, and the field; an unknown one is not plain."""
    if at >= end or text[at] != QUOTE:
        return -1, -1
    close, escaped = _closing_quote(text, at + 1, end)
    if close < 0 or escaped:
        return -1, -1
    field = _field(text, at + 1, close - at - 1, shape, owner, guess)
    at = _past_white(text, close + 1, end)
    if field < 0 or at >= end or text[at] != COLON:
        return -1, -1
    at = _past_white(text, at + 1, end)
    return (at, field) if at < end else (-1, -1)


@inlined
def _go_on(text: Bytes, at: int, end: int, closing: int) -> tuple[int, bool]:
    """After a value: the place after a comma, or after the closing bracket (and True)."""
    at = _past_white(text, at, end)
    if at < end and text[at] == COMMA:
        return _past_white(text, at + 1, end), False
    if at < end and text[at] == closing:
        return at + 1, True
    return -1, True


@inlined
def _flat_object(
    text: Bytes, at: int, end: int, shape: Shape, found: Found, owner: int, values: Ints, sizes: Ints, column: int
) -> int:
    """Take an object of scalars into a column of `values` and `sizes`; the place after it."""
    if text[at] != OPEN:
        return -1
    at = _past_white(text, at + 1, end)
    if at < end and text[at] == CLOSE:
        return at + 1
    found.stamps[0] += 1
    stamp, guess, closed = found.stamps[0], shape.first[owner], False
    while not closed:
        at, field = _next_field(text, at, end, shape, owner, guess)
        if at < 0 or found.seen[field] == stamp:
            return -1
        found.seen[field] = stamp
        at = _scalar(text, at, end, shape.kind[field], values, sizes, shape.slot[field], column)
        if at < 0:
            return -1
        at, closed = _go_on(text, at, end, CLOSE)
        if at < 0:
            return -1
        guess = field + 1 if field + 1 < shape.first[owner + 1] else shape.first[owner]
    return at


@inlined
def _repeats(text: Bytes, values: Ints, sizes: Ints, slot: int, begin: int, place: int) -> bool:
    """Whether the map's key at `place` is there before it, since `begin`."""
    for other in range(begin, place):
        if sizes[slot, other] != sizes[slot, place]:
            continue
        same = True
        for step in range(sizes[slot, place]):
            if text[values[slot, other] + step] != text[values[slot, place] + step]:
                same = False
                break
        if same:
            return True
    return False


@inlined
def _map_entry(text: Bytes, at: int, end: int, values: Ints, sizes: Ints, slot: int, begin: int, place: int) -> int:
    """Take a key and its string; the place after them."""
    if text[at] != QUOTE or place - begin >= MOST_KEYS:
        return -1
    at = _scalar(text, at, end, STRING, values, sizes, slot, place)
    if at < 0 or sizes[slot, place] >= ESCAPED or _repeats(text, values, sizes, slot, begin, place):
        return -1
    at = _past_white(text, at, end)
    if at >= end or text[at] != COLON:
        return -1
    at = _past_white(text, at + 1, end)
    if at >= end or text[at] != QUOTE:
        return -1
    return _scalar(text, at, end, STRING, values, sizes, slot + 1, place)


@inlined
def _item(text: Bytes, at: int, end: int, shape: Shape, found: Found, field: int, begin: int, place: int) -> int:
    """Take one item of a list or map into column `place` of the items; the place after it."""
    values, sizes, slot, owner = found.item_values, found.item_sizes, shape.slot[field], shape.part[field]
    if shape.kind[field] == STRING_MAP:
        return _map_entry(text, at, end, values, sizes, slot, begin, place)
    if shape.kind[field] == STRINGS:
        return _scalar(text, at, end, STRING, values, sizes, slot, place) if text[at] == QUOTE else -1
    for part in range(shape.first[owner], shape.first[owner + 1]):
        sizes[shape.slot[part], place] = ABSENT  # an item that was not plain may have been here
    return _flat_object(text, at, end, shape, found, owner, values, sizes, place)


@inlined
def _items(text: Bytes, at: int, end: int, shape: Shape, found: Found, field: int, row: int) -> int:
    """Take a list or map; the place after it. Beyond the room there is, items are counted only."""
    closing = CLOSE if shape.kind[field] == STRING_MAP else CLOSE_LIST
    if text[at] != (OPEN if shape.kind[field] == STRING_MAP else OPEN_LIST):
        return -1
    group = shape.group[field]
    begin = found.filled[group]
    found.counts[group, row] = 0
    at = _past_white(text, at + 1, end)
    if at < end and text[at] == closing:
        return at + 1
    room, closed = found.item_values.shape[1], False
    while not closed:
        place = found.filled[group]
        if at < 0 or at >= end or place >= room:
            found.filled[group] += place >= room
            return -1
        at = _item(text, at, end, shape, found, field, begin, place)
        if at < 0:
            return -1
        at, closed = _go_on(text, at, end, closing)
        found.filled[group] += 1
    found.counts[group, row] = found.filled[group] - begin
    return at


@inlined
def _value(text: Bytes, at: int, end: int, shape: Shape, found: Found, field: int, row: int) -> int:
    """Take the value of one of the body's fields; the place after it."""
    kind = shape.kind[field]
    if kind <= BOOLEAN:
        return _scalar(text, at, end, kind, found.values, found.sizes, shape.slot[field], row)
    if _is_word(text, at, end, b"null"):
        return at + 4
    if kind == OBJECT:
        found.sizes[shape.slot[field], row] = 0
        return _flat_object(text, at, end, shape, found, shape.part[field], found.values, found.sizes, row)
    return _items(text, at, end, shape, found, field, row)


@inlined
def _is_plain(text: Bytes, at: int, end: int, shape: Shape, found: Found, row: int) -> bool:
    """Take one body; what was taken of one that is not plain is left behind."""
    at = _past_white(text, at, end)
    if end - at > LONGEST or at >= end or text[at] != OPEN:
        return False
    at = _past_white(text, at + 1, end)
    if at < end and text[at] == CLOSE:
        return _past_white(text, at + 1, end) == end
    found.stamps[0] += 1
    stamp, guess, closed = found.stamps[0], shape.first[0], False
    while not closed:
        at, field = _next_field(text, at, end, shape, 0, guess)
        if at < 0 or found.seen[field] == stamp:
            return False
        found.seen[field] = stamp
        at = _value(text, at, end, shape, found, field, row)
        if at < 0:
            return False
        at, closed = _go_on(text, at, end, CLOSE)
        if at < 0:
            return False
        guess = field + 1 if field + 1 < shape.first[1] else shape.first[0]
    return _past_white(text, at, end) == end


@compiled
def scan(text: Bytes, starts: Ints, shape: Shape, found: Found, plain: Flags) -> bool:
    """Take the bodies text[starts[n]:starts[n + 1]] and say which are plain; False when not all items find room."""
    room = found.item_values.shape[1]
    before = np.empty_like(found.filled)
    for row in range(starts.size - 1):
        before[:] = found.filled
        plain[row] = _is_plain(text, starts[row], starts[row + 1], shape, found, row)
        if plain[row]:
            continue
        for group in range(before.size):
            if found.filled[group] > room:
                return False
        found.filled[:] = before
        found.sizes[:, row] = ABSENT
        found.counts[:, row] = ABSENT
    return True


@compiled
def copied(text: Bytes, starts: Ints, sizes: Ints, copy: Bytes, ends: NDArray[np.int32]) -> int:
    """Copy strings one behind the other, escapes replaced by what they mean; `ends` is where each ends, 0 at first."""
    filled = 0
    for number in range(starts.size):
        size = sizes[number]
        at = starts[number]
        if size >= ESCAPED:
            end = at + size - ESCAPED
            while at < end:
                letter = text[at]
                if letter == BACKSLASH:
                    at += 1
                    letter = _unescaped(text[at])
                copy[filled] = letter
                filled += 1
                at += 1
        else:
            for place in range(size):
                copy[filled + place] = text[at + place]
            filled += max(size, 0)
        ends[number + 1] = filled
    return filled


@inlined
def _unescaped(letter: int) -> int:
    """What a letter after a backslash stands for."""
    if letter == LETTER_N:
        return 10
    if letter == LETTER_T:
        return 9
    if letter == 114:
        return 13
    if letter == 98:
        return 8
    if letter == 102:
        return 12
    return letter
