"""What a batch makes of its records, counted."""

from collections import Counter

from jobs.lake.ingest.accounts import Accounts

PLACE = ("views", 0, None)


def test_a_record_is_refused_though_another_is_so_no_more() -> None:
    """A conflict that is none any more makes up for it in the sum, and the refused one's producer would be shown."""
    accounts = Accounts()
    assert not accounts.is_any_refused
    accounts.reasons[PLACE].update({"conflict": -1})
    assert not accounts.is_any_refused
    accounts.reasons[PLACE].update({"malformed_json": 1})
    accounts.quarantined[PLACE] += 0
    assert accounts.is_any_refused
    assert accounts.reasons[PLACE] == Counter(conflict=-1, malformed_json=1)
