"""Money in integer fen: what an order is worth, and what is left of it."""

from pyspark.sql import Column
from pyspark.sql import functions as F

# Ten billion yuan. Beyond it an order is a mistake; below it a person's sums cannot leave 64 bits.
MAX_ORDER_FEN = 10**12
REPEAT_WITHIN_DAYS = 90

PRICE_BANDS_FEN = {  # name -> price it stays below; in rising order
    "under_20_yuan": 20_00,
    "20_to_50_yuan": 50_00,
    "50_to_100_yuan": 100_00,
    "100_to_300_yuan": 300_00,
    "300_to_1000_yuan": 1_000_00,
}
TOP_PRICE_BAND = "from_1000_yuan"


def price_band(price_fen: Column) -> Column:
    """Name of the band a unit price falls into; null for no price or one below zero."""
    band = F.when(price_fen < 0, F.lit(None).cast("string"))
    for name, below in PRICE_BANDS_FEN.items():
        band = band.when(price_fen < below, name)
    return band.when(price_fen.isNotNull(), TOP_PRICE_BAND)


def gross_fen(lines: Column, freight_fen: Column) -> Column:
    """Lines less their discounts, plus freight; null when 64 bits cannot hold it or there are no lines."""
    start = F.coalesce(freight_fen, F.lit(0)).cast("bigint")
    return F.aggregate(lines, start, lambda total, line: F.try_add(total, _line_fen(line)))


def _line_fen(line: Column) -> Column:
    price = F.try_multiply(line["quantity"], line["unit_price_fen"])
    return F.try_subtract(price, F.coalesce(line["discount_fen"], F.lit(0)))


def is_believable(gross: Column) -> Column:
    """The amount can be an order's: not below zero (discounts above the price), not beyond ten billion yuan."""
    return F.coalesce(gross.between(0, MAX_ORDER_FEN), F.lit(False))


def net_fen(gross: Column, refunded: Column, is_cancelled: Column) -> Column:
    """What is left of a gross amount after refunds; cancelled and nothing refunded yet: nothing."""
    owed_back = is_cancelled & (refunded == 0)
    left = F.when(owed_back, F.lit(0)).otherwise(F.greatest(gross - refunded, F.lit(0)))
    return F.when(gross.isNotNull(), left.cast("bigint"))


def is_taken_back(quantity: Column, refunded_quantity: Column) -> Column:
    """Every piece of the line was refunded (more than 64 bits can count is every piece)."""
    return F.coalesce(refunded_quantity >= quantity, F.lit(True))
