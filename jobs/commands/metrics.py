"""`reelhouse metrics`: the platform in figures, for Prometheus."""

import signal
import threading
from typing import Annotated

import typer

from jobs.lake.settings import Settings

PANEL = "Reading"


def register(app: typer.Typer) -> None:
    """Add the command of this group."""
    app.command("metrics", rich_help_panel=PANEL)(metrics)


def metrics(
    serve: Annotated[bool, typer.Option("--serve", help="Answer scrapes until it is ended.")] = False,
) -> None:
    """Print records, lag, freshness, promises and costs in Prometheus's text format; --serve answers scrapes with it.

    It listens on loopback, port 9464 (REELHOUSE_METRICS_HOST, REELHOUSE_METRICS_PORT).

    Example: reelhouse metrics
    """
    from jobs.serve.asked import lake_settings
    from jobs.serve.metrics import exposition
    from jobs.serve.metrics import serve as answer

    if not serve:
        typer.echo(exposition(lake_settings()), nl=False)
        return
    settings = Settings.from_env()  # a lake may still be made while it is served
    ended = threading.Event()
    stop = answer(settings)
    typer.echo(f"metrics: http://{settings.metrics_host}:{settings.metrics_port}/metrics", err=True)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()
    stop()
