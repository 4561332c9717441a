"""Patterns as contracts write them (ECMA-262, as JSON Schema and ODCS say), read alike by Python and by Java."""

import re

PIECE = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]|\$", re.DOTALL)  # an escape, a class of characters, or the end
VERY_END = r"(?![\s\S])"


def expression_of(pattern: str) -> str:
    """The expression that finds, in Python's `re` and in Java's, what the pattern promises.

    Both would let a line's end follow a `$`, each other ones; their words for the very end differ.
    """
    return PIECE.sub(lambda piece: VERY_END if piece[0] == "$" else piece[0], pattern)
