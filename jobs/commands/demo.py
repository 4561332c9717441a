"""`reelhouse demo`: the whole platform once, from events to published tables, shown to a person."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Log(StrEnum):
    """Real public logs the demo can replay in place of the simulator."""

    KUAIRAND = "kuairand"
    TAOBAO = "taobao"
    REES46 = "rees46"
    OLIST = "olist"


def register(app: typer.Typer) -> None:
    """Add `demo`."""
    app.command("demo", rich_help_panel="Try it")(demo)


def demo(
    size: Annotated[int, typer.Option(min=10, help="People in the made world.")] = 2000,
    days: Annotated[int, typer.Option(min=1, help="Local days of the made world.")] = 7,
    seed: Annotated[int, typer.Option(help="The same seed makes the same world.")] = 7,
    log: Annotated[Log | None, typer.Option(help="Replay a real public log instead.")] = None,
    path: Annotated[Path | None, typer.Option(help="Where the log lies; default ../shared/data/LOG.")] = None,
    minutes: Annotated[int, typer.Option(min=1, help="Give up when Airflow has not released all by then.")] = 20,
) -> None:
    """Start everything, send events, let Airflow publish, and show what came out.

    Example: reelhouse demo --log kuairand
    """
    from jobs.demo.run import run_demo
    from jobs.demo.state import Sent
    from jobs.lake.settings import Settings

    sent = Sent(log.value, 0, 0) if log else Sent("simulator", size, seed)
    run_demo(Settings.from_env(), sent, days=days, path=path, minutes=minutes)
