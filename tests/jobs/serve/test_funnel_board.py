"""What the terminal says of a funnel: shares are of the step they can be a share of."""

from typing import Any

from jobs.serve.funnel_board import _cells, bar, rate


def step(name: str, attempts: int, *, is_optional: bool = False) -> dict[str, Any]:
    return {"step": name, "attempts": attempts, "is_optional": is_optional, "people": None, "open_attempts": 0,
            "net_attempts": attempts}  # fmt: skip


def test_an_optional_step_is_a_share_of_the_next_mandatory_one_and_no_step_is_a_share_of_it() -> None:
    steps = [step("viewed", 400), step("carted", 50, is_optional=True), step("bought", 100), step("rated", 20)]
    assert [cells[4] for cells in _cells(steps)] == ["100.0%", "50.0% of bought", "25.0%", "20.0%"]
    assert [cells[3] for cells in _cells(steps)] == ["100.0%", "12.5%", "25.0%", "5.0%"]


def test_a_share_of_nothing_is_not_told() -> None:
    assert (rate(0, 0), bar(0, 0)) == ("", "")
    assert [cells[4] for cells in _cells([step("viewed", 0), step("bought", 0)])] == ["", ""]
