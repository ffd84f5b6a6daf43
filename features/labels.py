"""The labels of a shown item: what its reader did with it, and which of that the model's heads predict.

Imported by Spark jobs and by training, so it imports nothing but the standard library. What counts as each of
them says ``pipelines.batch.showings``.
"""

from __future__ import annotations

from collections.abc import Mapping

ATTRIBUTION_MS = 24 * 3_600_000
"""How long after its showing what a reader does with an item is credited to it; settings may differ."""

ENGAGED = "engaged"
"""Liked, retweeted or replied: what makes a good order of a list, by which orders are judged."""

HEADS = ("liked", "retweeted", "replied", "opened", "dwelt", "hidden")
"""What the heads predict; ``hidden`` (hidden or reported) counts against an item."""

ENGAGING = HEADS[:3]
"""Any of these is an engagement."""

LABELS: Mapping[str, str] = {name: f"label_{name}" for name in (ENGAGED, *HEADS)}
"""The column of each label in the training examples, 0 or 1."""
