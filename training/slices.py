"""Parts of the examples in which a model may be worse while it is better on the whole."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.dataset import Examples
from training.metrics import popularity_groups

NEW = 10
"""Below so many showings, a reader or an author is new."""


def slices(examples: Examples) -> dict[str, NDArray[np.bool_]]:
    """Which rows are in each part, bool [n]: by the author's followers, new readers and authors, retweets."""

    def column(name: str) -> NDArray[np.float64]:
        return examples.frame[name].to_numpy(dtype=np.float64)

    groups = popularity_groups(column("author_followers"))
    found = {f"authors, fifth {group + 1} by followers": groups == group for group in range(5)}
    found["authors of unknown size"] = groups < 0
    # Not >=: what is missing was never shown.
    found["new readers"] = ~(column("user_impressions") >= NEW)
    found["new authors"] = ~(column("author_impressions") >= NEW)
    found["retweets"] = column("context_is_retweet") > 0
    return {name: rows for name, rows in found.items() if rows.any()}
