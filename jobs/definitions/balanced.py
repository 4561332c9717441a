"""Many columns joined by one associative operator, as a tree of little depth.

A left-to-right chain of a hundred conditions nests a hundred deep, and Spark Connect takes no plan that deep.
"""

from collections.abc import Callable, Sequence

from pyspark.sql import Column


def joined(operator: Callable[[Column, Column], Column], columns: Sequence[Column]) -> Column:
    """All `columns` (one at least) joined by `operator`, in their order, ⌈log2 n⌉ deep."""
    if len(columns) == 1:
        return columns[0]
    middle = len(columns) // 2
    return operator(joined(operator, columns[:middle]), joined(operator, columns[middle:]))
