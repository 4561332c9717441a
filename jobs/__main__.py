"""`reelhouse`: the one command line between schedules, people and jobs."""

import os
import re
import sys
from errno import EACCES, EEXIST, EISDIR, ENAMETOOLONG, ENOENT, ENOTDIR, EPERM, EROFS
from importlib import import_module
from inspect import getdoc
from pkgutil import iter_modules

import typer
from rich.console import Console

from jobs import commands
from jobs.lake.errors import DiskError, ReelhouseError, UsageError
from jobs.lake.kill_points import refuse_unknown
from jobs.lake.lifeline import hold_on
from jobs.lake.room import REMEDY, is_full
from jobs.serve.printing import inert, plain_console

NAMED_WRONGLY = (EACCES, EEXIST, EISDIR, ENAMETOOLONG, ENOENT, ENOTDIR, EPERM, EROFS)


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
    _let_help_flow(app)
    return app


def _let_help_flow(app: typer.Typer) -> None:
    """Take the line ends out of the paragraphs of every help: they are the source's, and a terminal has its own."""
    for command in app.registered_commands:
        command.help = re.sub(r"(?<!\n)\n(?!\n)", " ", getdoc(command.callback) or "")
    for group in app.registered_groups:
        if group.typer_instance:
            _let_help_flow(group.typer_instance)


def main() -> None:
    """Run the command line; our own errors, and places that cannot be had, become one line and their exit code."""
    hold_on()
    try:
        refuse_unknown()
        build_app()()
    except Exception as error:
        known = known_error(error)
        if known is None:
            raise
        kind, told, exit_code = known
        Console(stderr=True).print(f"[bold red]{kind.__name__}[/]: ", end="")
        words = inert(told).replace("\n", "\n  ")  # a line of a log that a text would forge begins at its margin
        plain_console(stderr=True, soft_wrap=True).print(words)
        if os.environ.get("REELHOUSE_TRACEBACK"):
            raise
        sys.exit(exit_code)


def known_error(error: Exception) -> tuple[type[Exception], str, int] | None:
    """What kind of error it is, in one line, and the exit code; None for what nobody foresaw."""
    if isinstance(error, ReelhouseError):
        return type(error), error.told, error.exit_code
    if is_full(error):  # its own words may quote rows
        where = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
        full = DiskError(f"{where}{REMEDY}")
        return DiskError, full.told, full.exit_code
    return (type(error), *_of_place(error)) if isinstance(error, OSError) else None


def _of_place(error: OSError) -> tuple[str, int]:
    """What is wrong with a file, a folder or a store, and whether the caller named it wrongly or the machine failed."""
    if error.filename is None:
        first = next(iter(str(error).splitlines()), "")
        return f"{first}; REELHOUSE_TRACEBACK=1 tells where", ReelhouseError.exit_code
    told = f"{error.filename}: {error.strerror}; name a place that can be read and written, or make it so"
    return told, UsageError.exit_code if error.errno in NAMED_WRONGLY else ReelhouseError.exit_code


if __name__ == "__main__":
    main()
