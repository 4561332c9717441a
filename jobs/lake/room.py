"""A disk without room, told from whatever was raised: our own errors have a number, those of engines only words."""

import re
from collections.abc import Iterator
from errno import EDQUOT, EFBIG, ENOSPC

FULL = (ENOSPC, EDQUOT, EFBIG)
WORDS = re.compile(
    r"No space left on device|Disk quota exceeded|IOException: File too large"
    rf"|\(os error ({'|'.join(map(str, FULL))})\)"
)
REMEDY = "no room is left on the disk; free some, then run it again"


def is_full(error: BaseException) -> bool:
    """Whether a full disk, a used up quota or a limit of sizes is behind an error."""
    return any(
        (isinstance(each, OSError) and each.errno in FULL) or WORDS.search(str(each)) is not None
        for each in _behind(error)
    )


def _behind(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
