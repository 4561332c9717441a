"""`reelhouse profile`: what we know about one person, now or at a past time."""

from typing import Annotated

import typer

from jobs.commands.serve import PANEL
from jobs.serve.printing import Format, inert, plain_console


def register(app: typer.Typer) -> None:
    """Add the commands of this group."""
    app.command("profile", rich_help_panel=PANEL)(profile)


def profile(
    user: Annotated[str, typer.Argument(metavar="USER", help="The id as the app sends it, or a pseudonym.")],
    as_of: Annotated[str, typer.Option("--as-of", metavar="ISO", help="As it was known then.")] = "",
    release: Annotated[str, typer.Option("--release", metavar="RELEASE", help="As it was when that came out.")] = "",
    format: Annotated[Format, typer.Option("--format", help="A card, or JSON with every column.")] = Format.table,
) -> None:
    """Show who a person is, what they do, buy and like.

    Example: reelhouse profile u00000042 --as-of 2026-12-01T12:00:00Z
    """
    from jobs.serve.asked import lake_settings
    from jobs.serve.instants import asked_moment
    from jobs.serve.profile_card import card, find_profile

    settings = lake_settings()
    found = find_profile(settings, user, asked_moment(settings, as_of, release))
    if format is Format.json:
        from jobs.serve.printing import print_rows

        print_rows([found], list(found), "json")
        return
    plain_console().print(card(inert(found)))
