"""The matches as a table of docs/reliability.md, between two markers."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from jobs.drills.beside.playing import CONTENDERS, Row
from jobs.lake.errors import UsageError
from jobs.lake.settings import ROOT

PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- made by `reelhouse drill compare --write` -->\n", "<!-- end of what is made -->\n"
TOLD = ("lost", "doubled", "wrong", "unaccounted", "waiting")


def table(rows: Sequence[Row]) -> str:
    """One line for each kind of record or fault, one column for each contender."""
    lines: dict[tuple[str, int], dict[str, str]] = {}
    for row in rows:
        lines.setdefault((row["what"], row["sent"]), {})[row["contender"]] = cell(row)
    head = ["records or fault", "sent", *CONTENDERS]
    body = [[what, str(sent), *(cells[each] for each in CONTENDERS)] for (what, sent), cells in lines.items()]
    aligned = ["---", "---:", *("---" for _ in CONTENDERS)]
    return "".join(f"| {' | '.join(line)} |\n" for line in (head, aligned, *body))


def cell(row: Row) -> str:
    """What became of the records of one match, in words."""
    told = [f"{row[name]} {name}" for name in TOLD if row[name]]
    return ", ".join([*told, *(["stopped"] if row["stopped"] else [])]) or "–"


def written(rows: Sequence[Row], played_on: date, page: Path = PAGE) -> None:
    """Put the table in its place on the page, with the day; UsageError when the page has no such place."""
    before, _, after = made_on(page)
    made = f"Played on {played_on}.\n\n{table(rows)}"
    page.write_text(f"{before}{BEGIN}\n{made}\n{END}{after}", encoding="utf-8")


def made_on(page: Path = PAGE) -> tuple[str, str, str]:
    """The page up to the markers, what stands between them, and the rest; UsageError when they are not there."""
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    made, end, after = rest.partition(END)
    if not begin or not end:
        raise UsageError(f"{page}: no place for the table; put back the lines {BEGIN.strip()} and {END.strip()}")
    return before, made.strip("\n") + "\n", after
