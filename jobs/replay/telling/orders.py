"""Order lines and money as columns."""

import polars as pl

from jobs.replay.telling.log import UNKNOWN


def line(line_id: pl.Expr, product_id: pl.Expr, merchant_id: pl.Expr, price_fen: pl.Expr) -> pl.Expr:
    """One order line: one piece at its price (fen)."""
    return pl.struct(
        line_id=line_id.cast(pl.String),
        product_id=product_id,
        merchant_id=merchant_id,
        quantity=pl.lit(1, pl.Int64),
        unit_price_fen=price_fen.cast(pl.Int64),
    )


def lines_of_one(price_fen: pl.Expr, product_id: pl.Expr, merchant_id: str = UNKNOWN) -> pl.Expr:
    """`lines` of an order of a single piece."""
    return pl.concat_list(line(pl.lit("1"), product_id, pl.lit(merchant_id), price_fen))


def fen(amount: str) -> pl.Expr:
    """A column of prices with two decimals, as text, in the smallest unit: `25.7` → 2570; null where it is no price."""
    return (pl.col(amount).cast(pl.Float64, strict=False) * 100).round(0).cast(pl.Int64, strict=False)
