"""JSON bodies, written column by column: DuckDB joins the pieces, absent fields leave nothing behind."""

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from jobs.simulate.body_fields import FIELDS, KEYS, BodyField
from jobs.simulate.catalogue import Catalogue
from jobs.simulate.columns import NONE, Columns, Ints
from jobs.simulate.fulfilment import LINES
from jobs.simulate.identity import numbered
from jobs.simulate.people import People
from jobs.simulate.vocabulary import FIXED, NEW_APP, catalogue_words, coded, people_words, product_pairs

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


class Writer:
    """Writes the bodies and keys of one block's events."""

    def __init__(self, people: People, catalogue: Catalogue, shared: dict[str, pa.Array] | None = None) -> None:
        """Name everything once; `shared` are `catalogue_words`, if another block has made them."""
        self._people = people
        self._catalogue = catalogue
        self._words = {**FIXED, **(shared or catalogue_words(catalogue)), **people_words(people)}
        self._duckdb = _one_thread()

    def keys(self, topic: str, events: Columns) -> pa.Array:
        """The Kafka key of each event, as bytes."""
        name = KEYS[topic]
        return coded(events[name], self._words[name]).cast(pa.string()).cast(pa.binary())

    def bodies(self, topic: str, events: Columns, envelope: dict[str, pa.Array]) -> pa.Array:
        """The JSON of each event as bytes; `envelope`: event_id, event_time, sent_time, producer_id, epoch, seq."""
        columns = dict(envelope)
        if topic == "orders":
            columns |= self._line_columns(events)
        if topic == "videos":
            events = {**events, "products": product_pairs(self._catalogue, events)}
        for field in FIELDS[topic]:
            if field.column in events:
                columns[f"f_{field.name}"] = self._column(field, events[field.column])
        told = self._duckdb.from_arrow(pa.table(columns)).query("told", _sentence(topic, frozenset(columns)))
        text = told.to_arrow_table().column(0).combine_chunks()
        return text.cast(pa.binary())

    def _column(self, field: BodyField, values: Ints) -> pa.Array:
        if field.vocabulary == "order":
            return _order_ids(values)
        if field.vocabulary:
            return coded(values, self._words[field.vocabulary])
        if field.kind == "flag":
            return pa.array(values.astype(bool), mask=values.astype(np.int8) == NONE)
        return pa.array(values, pa.int64(), mask=values == NONE)

    def _line_columns(self, events: Columns) -> dict[str, pa.Array]:
        """What `lines` and `refund_lines` are made of: per place the product, its merchant and price."""
        found: dict[str, pa.Array] = {}
        products = self._catalogue.products
        for i in range(LINES):
            product = events[f"product_{i}"]
            there = product != NONE
            found[f"l_product_{i}"] = coded(product, self._words["product"])
            found[f"l_merchant_{i}"] = coded(
                np.where(there, products["merchant"][product], NONE), self._words["merchant"]
            )
            found[f"l_price_{i}"] = pa.array(products["price"][product], mask=~there)
            for name in ("quantity", "discount", "refund_quantity", "refund"):
                values = events[f"{name}_{i}"]
                found[f"l_{name}_{i}"] = pa.array(values, mask=values == NONE)
        return found


def variants(topic: str, events: Columns, is_variant: np.ndarray) -> Columns:
    """The same events saying something else where `is_variant`: another app version, and twice the watching."""
    changed = {**events, "app": np.where(is_variant, NEW_APP, events["app"])}
    if topic == "views":
        watched = events["watch_ms"]
        changed["watch_ms"] = np.where(is_variant & (watched != NONE), watched * 2 + 1, watched)
    return changed


def _order_ids(codes: Ints) -> pa.DictionaryArray:
    seen, places = np.unique(codes, return_inverse=True)
    names = pa.array([f"o{number:011d}" for number in seen.tolist()], pa.string()) if len(seen) else numbered("o", 0, 0)
    return pa.DictionaryArray.from_arrays(pa.array(places.astype(np.int32)), names)


@cache
def _one_thread() -> "DuckDBPyConnection":
    """One connection for all: one thread keeps the order of rows and the promise of one core."""
    import duckdb

    return duckdb.connect(config={"threads": 1})


def _sentence(topic: str, columns: frozenset[str]) -> str:
    """The SQL that joins a body; a null makes its whole piece null, and `concat` leaves nulls out."""
    head = (
        """'{"event_id":"' || event_id || '","event_time":' || event_time || ',"sent_time":' || sent_time"""
        """ || ',"producer":{"id":"' || producer_id || '","epoch":' || epoch || ',"seq":' || seq || '}'"""
    )
    pieces = [_piece(field) for field in FIELDS[topic] if f"f_{field.name}" in columns]
    if topic == "orders":
        pieces += [_lines("lines", _LINE), _lines("refund_lines", _REFUND)]
    return f"SELECT concat({head}, {', '.join(pieces)}, '}}') FROM told"  # noqa: S608 names are our own, not data


def _piece(field: BodyField) -> str:
    quote = '"' if field.kind == "text" else ""
    return f"""',"{field.name}":{quote}' || f_{field.name} || '{quote}'"""


_LINE = (
    """'{"line_id":"' || f_order_id || '-{i}","product_id":"' || l_product_{i} || '","merchant_id":"'"""
    """ || l_merchant_{i} || '","quantity":' || l_quantity_{i} || ',"unit_price_fen":' || l_price_{i}"""
    """ || ',"discount_fen":' || l_discount_{i} || '}'"""
)
_REFUND = (
    """'{"line_id":"' || f_order_id || '-{i}","quantity":' || l_refund_quantity_{i} || ',"refund_fen":'"""
    """ || l_refund_{i} || '}'"""
)


def _lines(name: str, line: str) -> str:
    """A list of up to `LINES` objects; null when the first is not there."""
    first, *others = (line.replace("{i}", str(i)) for i in range(LINES))
    more = " || ".join(f"coalesce(',' || {other}, '')" for other in others)
    return f"""',"{name}":[' || {first} || {more} || ']'"""
