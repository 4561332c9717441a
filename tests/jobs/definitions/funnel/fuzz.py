"""`make fuzz`: random histories beside brute force, for as many as one likes and from another seed each time."""

from __future__ import annotations

import os
import secrets
import time
from typing import Annotated

import typer

from tests.jobs.definitions.funnel.comparing import compare
from tests.jobs.definitions.funnel.drawn import KINDS

PORTION = 20_000  # histories of one kind between two lines on the screen


def main(
    cases: Annotated[int, typer.Option(min=1, help="Histories to compare, at least.")] = int(
        os.environ.get("CASES") or 2_000_000
    ),
    seed: Annotated[str, typer.Option(help="Where to begin; the one of a failure repeats it.")] = os.environ.get(
        "SEED", ""
    ),
) -> None:
    """Compare the funnel engine with brute force; the first difference ends it with the smallest story.

    Example: make fuzz SEED=7 CASES=1000000
    """
    start, portion = time.monotonic(), max(1, min(PORTION, cases // len(KINDS)))
    seed = seed or secrets.token_hex(4)
    typer.echo(f"seed {seed}")
    compared, turn = 0, 0
    while compared < cases:
        for kind in KINDS:
            try:
                compared += compare(kind, f"{seed} {turn}", portion)
            except AssertionError as differing:
                typer.echo(f"after {compared:,} histories that agree, one does not: {differing}", err=True)
                raise typer.Exit(1) from differing
        turn += 1
        typer.echo(f"{compared:,} histories agree, {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    typer.run(main)
