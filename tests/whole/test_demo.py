"""The main job, end to end: events through Kafka, Spark and Airflow become checked, published tables."""

import json
import re

import pytest
from deltalake import DeltaTable

from jobs.lake.scanning import dataset_of
from jobs.lake.settings import Settings
from jobs.serve.tables import readable
from tests.canary import content
from tests.jobs.lake.profiles_in_sql import KEYS, SILVER, differences, recomputed
from tests.whole.conftest import LONGEST_SECONDS, PEOPLE

pytestmark = pytest.mark.timeout(LONGEST_SECONDS)

PARTS = (
    "the funnel",
    "a profile",
    "the books",
    "the quarantine by reason",
    "the score against the truth",
    "to look at",
)


def rows(shop, query):
    return json.loads(shop.ask("sql", query, "--format", "json"))


def test_the_demo_shows_every_part(shop):
    assert [part for part in PARTS if part not in shop.printed] == []


def waiting(shop):
    """The families the ledger says something is left to do for."""
    pending = json.loads(shop.ask("pending", "--format", "json"))
    return [row["family"] for row in pending if row["is_waiting"]]


def test_airflow_has_released_every_family_when_the_demo_ends(shop):
    assert waiting(shop) == []
    found = rows(shop, "SELECT family, any_value(run_id) AS run FROM ops.publications GROUP BY family ORDER BY family")
    assert [row["family"] for row in found] == ["funnels", "profiles", "scores", "sessions"]
    assert all(row["run"].startswith(("gold_", "silver_")) for row in found)


def test_every_public_table_has_rows_and_passed_its_checks(shop):
    tables = json.loads(shop.ask("tables", "--format", "json"))
    assert {row["table"]: row["verdict"] for row in tables if row["verdict"] != "passed" or not row["rows"]} == {}


def test_the_books_balance_and_nothing_is_left(shop):
    assert (
        rows(
            shop,
            "SELECT count(*) AS n FROM ops.books "
            "WHERE NOT balanced OR received <> accepted + duplicate + quarantined + erased + canary",
        )[0]["n"]
        == 0
    )
    assert waiting(shop) == []


def test_the_lake_agrees_with_the_simulators_truth(shop):
    score = shop.run("score", "--format", "json")
    assert score.returncode == 0, score.stdout


def test_every_number_of_the_profiles_is_what_sql_over_silver_counts(shop):
    settings = Settings(home=shop.home)
    found = {table: dataset_of(DeltaTable(settings.table_path(table), version=version))
             for table, version in readable(settings, with_silver=True).items() if version >= 0}  # fmt: skip
    (day,) = set(found["gold.user_profiles"].to_table(["as_of_day"])["as_of_day"].to_pylist())
    by_sql = recomputed({name: found[f"silver.{name}"] for name in SILVER}, day, settings.business_zone)
    assert [differences(by_sql, what, found[f"gold.user_{what}"]) for what in KEYS] == [{}, {}]


def test_the_report_is_one_file_that_fetches_nothing(shop):
    page = (shop.home / "report" / "index.html").read_text(encoding="utf-8")
    assert page.count("<svg") >= 4
    assert "People by lifecycle, day by day" in page  # what follows the first report is in it too
    assert "<script" not in page
    assert "https://" not in page.replace("https://www.w3.org", "")


@pytest.mark.parametrize("name", ["views", "likes", "orders"])
def test_silver_holds_no_raw_user(shop, name):
    query = f"SELECT count(*) AS n FROM silver.{name} WHERE user_id NOT LIKE '%:%'"
    assert json.loads(shop.ask("sql", query, "--with-silver", "--format", "json")) == [{"n": 0}]


RAW_IDS = re.compile(rb"\b[ud]000\d{5}\b")  # of the simulator's people and devices
# Where raw ids must be: on their way in, in bronze, in the simulator's own truth. And the files of the keys.
KNOWS_THEM = ("services/kafka/data", "spool", "lake/bronze/events", "truth", "keys")
JWT_SECRET = "jwt-secret"  # the file of Airflow's key


def secrets(shop):
    keys = json.loads((shop.home / "keys" / "pseudonyms.json").read_text())["keys"].values()
    return [*keys, (shop.home / "services" / "airflow" / "home" / JWT_SECRET).read_text()]


def test_no_raw_id_and_no_secret_is_in_any_table_log_or_page(shop):
    """Tables, staging, Delta logs, logs of Spark and Airflow, Airflow's database, results, the report."""
    hidden = re.compile(RAW_IDS.pattern + b"|" + b"|".join(re.escape(each.encode()) for each in secrets(shop)))
    files = [file for file in sorted(shop.home.rglob("*")) if file.is_file() and not file.is_symlink()]
    places = {file: file.relative_to(shop.home).as_posix() for file in files}
    known = [file for file in files if places[file].startswith(KNOWS_THEM) or file.name == JWT_SECRET]
    assert any(RAW_IDS.search(content(file)) for file in known if places[file].startswith("lake/bronze")), "no canary"
    found = {places[file]: hit[0][:12] for file in files if file not in known and (hit := hidden.search(content(file)))}
    assert found == {}
    assert hidden.search(shop.printed.encode()) is None


def test_a_second_demo_says_quickly_that_all_is_done(shop):
    publications = "SELECT release_id, version FROM ops.publications ORDER BY ALL"
    before = rows(shop, publications)
    again = shop.run("demo", f"SIZE={PEOPLE}", command=("make",))
    assert again.returncode == 0, again.stderr
    assert "sent by an earlier demo" in again.stdout
    assert "all is done" in again.stdout
    assert rows(shop, publications) == before
