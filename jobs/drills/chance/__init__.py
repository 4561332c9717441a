"""Faults by chance: a schedule is drawn from a seed, played on a lake of its own, and judged by the truth."""
