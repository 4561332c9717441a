"""Pseudonyms: on the way to silver raw ids of people and devices become `<key id>:<32 hex digits>` (HMAC-SHA-256).

The key lies in a file that only its owner may read: `{"current": "k1", "keys": {"k1": "<hex>"}}`. Spark's workers read
it there by its path; it is never part of a plan, a closure, a log or a table.
"""

import hmac
import json
import os
import re
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from jobs.definitions.workers import settle
from jobs.lake.errors import KeyFileError

if TYPE_CHECKING:
    from pyspark.sql import Column

HEX_DIGITS = 32
PSEUDONYM = re.compile(r"[^:\s]+:[0-9a-f]{32}")
MARKING = "erased:"  # no raw id begins like that
KEY_BYTES = 32


@dataclass(frozen=True)
class Keys:
    """The keys by id, and which of them makes new pseudonyms; never shown."""

    current: str
    keys: dict[str, bytes] = field(repr=False)

    def pseudonym(self, raw_id: str, key_id: str | None = None) -> str:
        """The pseudonym of one id; KeyFileError for a key that the file does not hold."""
        name = key_id or self.current
        if name not in self.keys:
            raise KeyFileError(f"key id {name!r} is unknown; the key file holds {', '.join(sorted(self.keys))}")
        return f"{name}:{hmac.digest(self.keys[name], raw_id.encode(), 'sha256').hex()[:HEX_DIGITS]}"

    def pseudonyms(self, raw_id: str) -> list[str]:
        """The pseudonyms of one id under every key there is: rows older than the current key have another."""
        return [self.pseudonym(raw_id, name) for name in self.keys]

    def mark(self, pseudonym: str) -> str | None:
        """What stays of an erased pseudonym, and leads nobody without the key back to it; None for an unknown key."""
        return self.known_mark(pseudonym) if pseudonym.partition(":")[0] in self.keys else None

    def known_mark(self, pseudonym: str) -> str:
        """The same; KeyFileError for an unknown key."""
        return self.pseudonym(MARKING + pseudonym, pseudonym.partition(":")[0])


def ensure_key_file(path: Path) -> None:
    """Make a key file with one fresh key if there is none, then check it as every reader does."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = {"current": "k1", "keys": {"k1": secrets.token_hex(KEY_BYTES)}}
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    if not path.exists():
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(fresh, file)
        try:
            os.link(draft, path)  # whole or not at all, and the first of two makers wins
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    read_keys(path)


def read_keys(path: Path) -> Keys:
    """The keys of a file; KeyFileError says what is wrong with it and never what is in it."""
    try:
        status = path.stat()
        written = path.read_text(encoding="utf-8")
    except OSError as error:
        remedy = "put the key file back (a new key makes new pseudonyms)"
        raise KeyFileError(f"{path}: {error.strerror}; {remedy}") from error
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise KeyFileError(f"{path}: others may read it (mode {stat.S_IMODE(status.st_mode):o}); run chmod 600 on it")
    return _parsed(written, path)


def _parsed(written: str, path: Path) -> Keys:
    shape = '{"current": "k1", "keys": {"k1": "<hex>"}}'
    try:
        content = json.loads(written)
        keys = Keys(str(content["current"]), {str(name): bytes.fromhex(key) for name, key in content["keys"].items()})
    except (ValueError, KeyError, TypeError, AttributeError):
        raise KeyFileError(f"{path}: not of the form {shape}; put the key file back") from None
    if keys.current not in keys.keys:
        raise KeyFileError(f"{path}: the current key id {keys.current!r} is not among the keys; add it or name another")
    return keys


def pseudonym_of(raw_id: str, path: Path) -> str:
    """The pseudonym of one raw id, for the command line and for scores."""
    return read_keys(path).pseudonym(raw_id)


def pseudonym_function(path: Path) -> "Callable[[Column], Column]":
    """A Column function from raw ids to pseudonyms; null stays null. Only the path travels to the workers."""
    import pyarrow as pa
    from pyspark.sql.pandas.functions import arrow_udf
    from pyspark.sql.types import StringType  # a type by its name would be asked of whichever session is active

    place = str(path)

    def pseudonyms(ids: pa.Array) -> pa.Array:
        found = pseudonyms_of(ids, place)
        settle("pseudonyms")
        return found

    return cast("Callable[[Column], Column]", arrow_udf(pseudonyms, StringType()))  # type: ignore[call-overload]


def pseudonyms_of(ids: Any, place: str) -> Any:
    """An Arrow array of raw ids as one of pseudonyms; each distinct id of the array is hashed once."""
    import pyarrow as pa
    import pyarrow.compute as pc

    keys = keys_at(place)
    told_apart = pc.dictionary_encode(ids)
    made = pa.array([keys.pseudonym(raw_id) for raw_id in told_apart.dictionary.to_pylist()], pa.string())
    return made.take(told_apart.indices)


def keys_at(place: str) -> Keys:
    """The keys of a file, for workers: read again when it changes."""
    return _keys_at(place, Path(place).stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _keys_at(place: str, modified_ns: int) -> Keys:
    """The keys of a file as of its last change, read once per worker."""
    return read_keys(Path(place))
