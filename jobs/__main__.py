"""`reelhouse`: the one command line between schedules, people and jobs."""

import os
import sys
from importlib import import_module
from pkgutil import iter_modules

import typer
from rich.console import Console

from jobs import commands
from jobs.lake.errors import ReelhouseError


def build_app() -> typer.Typer:
    """Gather every command group; each module of `jobs.commands` adds its own commands."""
    app = typer.Typer(
        name="reelhouse",
        help="Reelhouse: views, likes and orders in; checked profiles and funnels out.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_show_locals=False,  # locals could hold personal values
        rich_markup_mode="rich",
    )
    for group in iter_modules(commands.__path__):  # the folder is the registry
        import_module(f"jobs.commands.{group.name}").register(app)
    return app


def main() -> None:
    """Run the command line; our own errors become one line and their exit code."""
    try:
        build_app()()
    except ReelhouseError as error:
        Console(stderr=True).print(f"[bold red]{type(error).__name__}[/]: ", end="")
        Console(stderr=True, soft_wrap=True, markup=False, highlight=False).print(error.told)
        if os.environ.get("REELHOUSE_TRACEBACK"):
            raise
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
