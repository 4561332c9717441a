"""How a Python worker of Spark spares itself the looking for garbage in what it keeps for good.

Such a worker collects garbage after every task (pyspark/daemon.py). With Arrow and the compiler loaded it looks at
200,000 objects each time, for a tenth of a second and more: as long as a small task itself takes. In the process of
the engine of small runs, which calls our functions too, it does no harm.
"""

import gc
from functools import cache


@cache
def settle(use: str) -> None:
    """Leave out of later collections what is loaded by now; to be called at the end of a worker's first task."""
    gc.collect()
    gc.freeze()
