"""What people did between two instants: names of acts, found by counting in sorted arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from jobs.definitions.funnel.judged import Attempts, Entries
from jobs.definitions.funnel.model import Definition

Ints = NDArray[np.int64]
NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Acts:
    """The acts of some subjects: all instants in order, and per name of an act the sorted (subject, instant) of each.

    A pair is one number: subject times the number of instants, plus the place of the instant.
    """

    instants: Ints
    pairs: dict[str, Ints]

    @classmethod
    def of(cls, subject: Ints, time: Ints, code: Ints, names: Sequence[str]) -> Acts:
        """Events with the code (from 1, 0: no act) of their name."""
        instants = np.unique(time)
        pair = subject * (instants.size + 1) + np.searchsorted(instants, time)
        return cls(instants, {name: np.sort(pair[code == place]) for place, name in enumerate(names, 1)})

    def between(self, subject: Ints, after: Ints, before: Ints) -> pa.ListArray:
        """Per interval (its two ends left out) the names of the subject's acts in it, each once, sorted."""
        first = subject * (self.instants.size + 1) + np.searchsorted(self.instants, after, "right")
        end = subject * (self.instants.size + 1) + np.searchsorted(self.instants, before, "left")
        names = sorted(self.pairs)
        found = np.zeros((subject.size, len(names)), np.bool_)
        for place, name in enumerate(names):
            found[:, place] = np.searchsorted(self.pairs[name], first) < np.searchsorted(self.pairs[name], end)
        offsets = np.concatenate([[0], np.cumsum(found.sum(axis=1))]).astype(np.int32)
        return pa.ListArray.from_arrays(offsets, pa.array(names, pa.string()).take(pa.array(np.nonzero(found)[1])))


def acts_after(
    definition: Definition, entries: Entries, attempts: Attempts, subject: Ints, time: Ints, acts: Acts
) -> pa.Array:
    """Per attempt past its first step a list of lists: by step what was done after it, null of a step left out.

    From a step to the next filled one; from the last of a dropped attempt to the end of its window. A conversion has
    nothing after it. In an unordered funnel the k-th list follows the step that was filled as the k-th. `subject` and
    `time` are the events' (`entries.chain` numbers them).
    """
    chain = entries.chain[attempts.steps]
    at = np.where(chain >= 0, time[chain], NEVER)
    if definition.mode == "unordered":
        at = np.sort(at, axis=1)
    is_filled = at < NEVER
    follows = np.minimum.accumulate(at[:, ::-1], axis=1)[:, ::-1]  # the first filled instant from each step on
    until = np.concatenate([follows[:, 1:], np.full((at.shape[0], 1), NEVER)], axis=1)
    is_last = is_filled & (until == NEVER)
    until = np.where(is_last, entries.deadline[attempts.steps][:, None] + 1, until)
    has_acts = is_filled & ~(is_last & entries.is_converted[attempts.steps][:, None])
    is_kept = entries.reached[attempts.steps] > 1
    lengths = np.where(is_kept, is_filled.shape[1] - np.argmax(is_filled[:, ::-1], axis=1), 0)
    inside = np.arange(at.shape[1])[None, :] < lengths[:, None]
    who = np.broadcast_to(subject[entries.row[attempts.steps]][:, None], at.shape)
    asked = inside & has_acts
    found = acts.between(who[asked], at[asked], until[asked])
    places = np.cumsum(asked).reshape(asked.shape) - 1
    lists = found.take(pa.array(places[inside], mask=~has_acts[inside]))
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(offsets, lists)
