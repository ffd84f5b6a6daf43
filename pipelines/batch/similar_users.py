"""Who is like whom: the nearest neighbours of each user by what both rated, with blocking.

A user is compared with those alone who share an item of the user's own, and only with the few for whom that
item weighs most: at most ``RATED`` * ``HOLDERS`` comparisons per user, however many users there are.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812 - the name PySpark's own guide gives it

RATED = 30
"""Items that make up a user: those of the greatest weight."""
HOLDERS = 50
"""Users whom an item leads to: those of whom it makes up most."""


def transform(ratings: DataFrame, most: int) -> DataFrame:
    """Rows ``user``, ``similar`` (array of at most ``most`` users, most alike first); nobody's row is empty.

    Alike is the cosine of weight / ln(1 + users who rated the item), which is Adamic and Adar's discount of
    what many have in common, over the items that lead from the one to the other.

    Args:
        ratings: ``user``, ``item`` and ``weight`` above 0, one row per user and item.
    """
    units = _units(ratings)
    holder = Window.partitionBy("item").orderBy(F.desc("weight"), "user")
    holders = (
        units.withColumn("place", F.row_number().over(holder))
        .where(F.col("place") <= HOLDERS)
        .select("item", F.col("user").alias("other"), F.col("weight").alias("other_weight"))
    )
    alike = (
        units.join(holders, on="item")
        .where(F.col("user") != F.col("other"))
        .groupBy("user", "other")
        .agg(F.sum(F.col("weight") * F.col("other_weight")).alias("cosine"))
    )
    nearest = Window.partitionBy("user").orderBy(F.desc("cosine"), "other")
    placed = alike.withColumn("place", F.row_number().over(nearest)).where(F.col("place") <= most)
    return placed.groupBy("user").agg(in_order("other").alias("similar"))


def in_order(column: str) -> Column:
    """The values of ``column`` in the order of ``place``, as an array."""
    placed = F.array_sort(F.collect_list(F.struct("place", F.col(column).alias("value"))))
    return F.transform(placed, lambda each: each["value"])


def _units(ratings: DataFrame) -> DataFrame:
    """``user``, ``item``, ``weight``: each user's best items, as a vector of length 1."""
    raters = F.count("*").over(Window.partitionBy("item"))
    weighed = ratings.select("user", "item", (F.col("weight") / F.log1p(raters)).alias("weight"))
    best = Window.partitionBy("user").orderBy(F.desc("weight"), "item")
    kept = weighed.withColumn("place", F.row_number().over(best)).where(F.col("place") <= RATED)
    length = F.sqrt(F.sum(F.col("weight") * F.col("weight")).over(Window.partitionBy("user")))
    return kept.select("user", "item", (F.col("weight") / length).alias("weight"))
