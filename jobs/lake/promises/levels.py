"""Service levels: what a contract's slaProperties promise, as numbers, and what is wrong with them."""

from collections.abc import Iterator
from pathlib import Path

from jobs.lake.contract_model import Contract
from jobs.lake.contracts import all_tables, contract
from jobs.ops.promises import AVAILABILITY, COMPLETENESS, LATENCY, PERCENT, QUALITY, SECONDS, Promise

SECONDS_OF = {"s": 1, "m": 60, "h": 3600, "d": 86400}
MEASURED = (LATENCY, COMPLETENESS, QUALITY, AVAILABILITY)
KNOWN = ("frequency", *MEASURED)


def levels(schemas_dir: Path) -> list[Promise]:
    """Every promise that is measured, table by table."""
    return [promise for table in all_tables(schemas_dir) for promise in levels_of(contract(table, schemas_dir))]


def levels_of(promised: Contract) -> list[Promise]:
    """What one contract promises that is measured: latencies in seconds, the others in percent."""
    return [
        _level(promised.name, name, *_parts(promised.promises[name])) for name in MEASURED if name in promised.promises
    ]


def wrong_levels(promised: Contract) -> Iterator[tuple[str, str, str]]:
    """Place, fault and remedy of each promise that cannot be measured, or that a gold table lacks."""
    for name, text in promised.promises.items():
        place, (value, unit) = f"slaProperties {name}", _parts(text)
        units = tuple(SECONDS_OF) if name in ("frequency", LATENCY) else (PERCENT,)
        if name not in KNOWN:
            yield place, "is none that is measured", f"write one of {', '.join(KNOWN)}"
        elif unit not in units:
            yield place, f"unit is {unit!r}", f"write one of {', '.join(units)}"
        elif not _is_amount(value) or (unit == PERCENT and float(value) > 100):
            yield place, f"value is {value!r}", "write a number above 0, and of percent none above 100"
    for name in (LATENCY, COMPLETENESS, QUALITY):
        if promised.name.startswith("gold.") and name not in promised.promises:
            yield "slaProperties", f"promises no {name}", "say what readers may count on, see docs/watching.md"


def _level(table: str, name: str, value: str, unit: str) -> Promise:
    if name == LATENCY:
        return Promise(table, name, float(value) * SECONDS_OF[unit], SECONDS)
    return Promise(table, name, float(value), PERCENT)


def _parts(text: str) -> tuple[str, str]:
    value, _, unit = text.partition(" ")
    return value, unit


def _is_amount(value: str) -> bool:
    return value.replace(".", "", 1).isdecimal() and float(value) > 0
