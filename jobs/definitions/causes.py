"""Why a published number changed, in the words of `ops.restatements`; what news are is in `news`."""

REPLAY, REVERSAL, LATE_DATA, CORRECTION, ON_TIME = "replay", "reversal", "late_data", "correction", "on_time"
ERASURE = "erasure"
MATURITY, DEFINITION_CHANGE, ROLLBACK = "maturity", "definition_change", "rollback"
SEVERAL, UNEXPLAINED = "several", "unexplained"
# In this order: all that a person's news change is booked under the first cause that one of them has.
OF_NEWS = (ERASURE, REPLAY, REVERSAL, LATE_DATA, CORRECTION, ON_TIME)
