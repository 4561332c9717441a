"""The CDNOW sample: 2,357 buyers of a music shop's first quarter of 1997, followed for 39 weeks (Fader and Hardie).

Every paper on these models fits it, so what must come out is published. Times in weeks, values in dollars.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from jobs.definitions.lifetime.purchases import Buyers
from jobs.definitions.lifetime.spending import Spenders

_FREQUENCY, _RECENCY, _AGE, _VALUE = np.genfromtxt(
    Path(__file__).with_name("cdnow.csv"), delimiter=",", skip_header=1
).T


def buyers() -> Buyers:
    """All of them."""
    return Buyers(_FREQUENCY, _RECENCY, _AGE, np.ones_like(_AGE))


def spenders() -> Spenders:
    """The 946 who bought again."""
    again = _FREQUENCY > 0
    return Spenders(_FREQUENCY[again], _VALUE[again], np.ones(again.sum()))
