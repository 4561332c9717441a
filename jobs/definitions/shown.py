"""Text that came with a record, as far as it may be shown: a name that says nothing of anybody, or else only its form.

Of a form a letter becomes x, a digit 9, a byte beyond ASCII ?, and control characters are spelled out.
"""

import re
from collections.abc import Collection

SOURCE = re.compile(r"app:[a-z][a-z_]{0,15}|replay:[a-z]{2,12}\d{0,2}(:\d{1,6})?")
LONGEST_NAME = 40  # characters shown of one that is masked
KEPT = b'"\\{}[],:-+._ '


def safe_source(source: str | None) -> str | None:
    """A source as its header has it, if it is an app of a plain name, or a log; else only its form."""
    return source if source is None or SOURCE.fullmatch(source) else safe_name(source)


def safe_producer(name: str | None, good: Collection[str]) -> str | None:
    """A producer's name as it is, if a good record bears it; else only its form."""
    return name if name is None or name in good else safe_name(name)


def safe_name(name: str) -> str:
    """A name's form: a text that may be anybody's."""
    return form_of(name.encode()[: LONGEST_NAME + 1])[:LONGEST_NAME]


def form_of(text: bytes) -> str:
    """The form of a text: no letter and no digit of it."""
    return "".join(_form(byte) for byte in text)


def _form(byte: int) -> str:
    if byte < 0x20 or byte == 0x7F:
        return {0x09: r"\t", 0x0A: r"\n", 0x0D: r"\r"}.get(byte, f"\\x{byte:02x}")
    if byte >= 0x80:
        return "?"
    if byte in KEPT:
        return chr(byte)
    return "9" if chr(byte).isdigit() else "x"
