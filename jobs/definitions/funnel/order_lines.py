"""An order is about every product on its lines: for a funnel that holds the product it is one event for each.

A chain of such a funnel keeps to one product, so the event still fills one step of it; for all other funnels it is one
event, the first of these rows.
"""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from jobs.definitions.funnel.model import Definition
from jobs.definitions.funnel.vocabulary import FROM_LINES

PLACE = "line_place"  # of the row among those of its event, from 0


def is_held(definition: Definition) -> bool:
    """The funnel holds what only the lines of an order tell."""
    return FROM_LINES in definition.hold


def per_product(orders: DataFrame) -> DataFrame:
    """A row per event and product, `line_place` from 0, `line_product` the product (null: nothing is known of it).

    An event without lines (a cancellation) is about all that was placed or paid under its order.
    """
    whole = Window.partitionBy("user_id", "order_id")
    own = F.transform("lines", lambda line: line[FROM_LINES])
    ordered = F.flatten(F.collect_list(F.coalesce(own, F.array().cast("array<string>"))).over(whole))
    products = F.array_sort(F.array_distinct(F.array_compact(F.coalesce(own, ordered))))
    named = orders.withColumn("products", products)
    return named.select(*orders.columns, F.posexplode_outer("products").alias(PLACE, "line_product")).fillna({PLACE: 0})


def product() -> Column:
    """The product the row is about, whichever fact it is."""
    return F.coalesce("line_product", FROM_LINES)
