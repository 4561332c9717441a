"""What came out: the funnel, three profiles, the books, the quarantine, the score, the report and the addresses."""

import json
from collections.abc import Sequence
from contextlib import ExitStack

from jobs.demo.steps import Running, Steps
from jobs.lake.settings import Settings

BOOKS = (
    "SELECT topic, sum(received)::BIGINT AS received, sum(accepted)::BIGINT AS accepted, "
    "sum(duplicate)::BIGINT AS duplicate, sum(quarantined)::BIGINT AS quarantined, sum(canary)::BIGINT AS canary, "
    "bool_and(balanced) AS balanced FROM ops.books GROUP BY topic ORDER BY topic"
)
QUARANTINE = (
    "SELECT reason, count(*) AS records, string_agg(DISTINCT topic, ', ' ORDER BY topic) AS topics "
    "FROM (SELECT topic, unnest(reasons) AS reason FROM silver.quarantine) GROUP BY reason "
    "ORDER BY records DESC, reason"
)
# The richest lives make the best reading: most bought, then most seen; people flagged as bots are left out.
PEOPLE = (
    "SELECT user_id FROM gold.user_profiles WHERE NOT coalesce(is_suspected_bot, false) "
    "ORDER BY order_count DESC, event_count DESC, user_id LIMIT 3"
)


def show(steps: Steps, settings: Settings, source: str, airflow_url: str) -> None:
    """Print each part by the command a person would use for it."""
    with steps.beside("the report", "report", remedy="see the log"):  # drawing takes as long as the rest together
        show_answers(steps, source)
    show_addresses(steps, settings, airflow_url)


def show_answers(steps: Steps, source: str) -> None:
    """Funnel, people, books, quarantine, and the score of a made world."""
    is_made = source == "simulator"
    funnel = "content_to_purchase" if is_made else f"log_{source}"
    people = json.loads(steps.run("three people", "sql", PEOPLE, "--format", "json", remedy="see the log"))
    parts: list[tuple[str, ...]] = [("the funnel", "funnel", "show", funnel)]
    parts += [("a profile", "profile", person["user_id"]) for person in people]
    parts += [("the books", "sql", BOOKS), ("the quarantine by reason", "sql", QUARANTINE, "--with-silver")]
    parts += [("the score against the truth", "score")] * is_made
    show_parts(steps, parts)


def show_parts(steps: Steps, parts: Sequence[tuple[str, ...]]) -> None:
    """Run reading commands, each while the one before is waited for, and print what each says under its name."""
    with ExitStack() as started:
        running: list[Running] = []
        for place, (name, *_) in enumerate(parts):
            for title, *arguments in parts[len(running) : place + 2]:
                running.append(steps.start(f"{len(running) + 1} {title.replace('the ', '')}", *arguments))
                started.callback(running[-1].process.terminate)  # of one that has ended this does nothing
            steps.console.rule(name)
            printed = steps.finish(running[place], remedy="run the command by hand")
            steps.console.print(printed.rstrip(), markup=False, highlight=False)


def show_addresses(steps: Steps, settings: Settings, airflow_url: str) -> None:
    """Where to look next."""
    steps.console.rule("to look at")
    places = {
        "report": str(settings.home / "report" / "index.html"),
        "Airflow": airflow_url,
        "tables": "reelhouse tables · docs/tables/README.md",
        "Kafka": settings.bootstrap,
        "ask": 'reelhouse sql "SELECT * FROM gold.funnel_daily LIMIT 5"',
    }
    for name, place in places.items():
        steps.console.print(f"  {name:8} {place}", markup=False, highlight=False, soft_wrap=True)
