"""Segments: the columns people are counted by, each with its words in order. Nothing else lists them."""

from collections.abc import Iterable

from jobs.definitions.lifecycle import STATES
from jobs.definitions.people import BEFORE_GEN_X, GENERATIONS, SILVER, UNKNOWN
from jobs.definitions.value import TIERS

CITY_TIERS = ("tier_1", "new_tier_1", "tier_2", "tier_3", "tier_4", "tier_5")
MEMBER_TIERS = ("black", "gold", "plus", "none")
IN_PROFILES = {  # columns of gold.user_profiles
    "generation": (*GENERATIONS, SILVER, BEFORE_GEN_X, UNKNOWN),
    "city_tier": CITY_TIERS,
    "lifecycle": STATES,
    "member_tier": MEMBER_TIERS,
}
VALUE = "value_tier"  # of gold.user_scores: it depends on everybody
SEGMENTS = IN_PROFILES | {VALUE: TIERS}
NONE = "(none)"  # nothing is known: counted, never dropped
OUTSIDE = "(outside)"  # not known to us, or flagged: no part of the population


def in_order(dimension: str, words: Iterable[str]) -> list[str]:
    """Words of a column, each once, as they are defined; what is none of its words comes last, by the alphabet."""
    defined = SEGMENTS.get(dimension, ())
    return sorted(set(words), key=lambda word: (defined.index(word) if word in defined else len(defined), word))
