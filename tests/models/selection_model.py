"""Selection as its page says it, one item after the other: what the columns are compared with."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence


def diversity(
    scores: Sequence[float],
    ids: Sequence[int],
    groups: Sequence[set[int]],
    served: Sequence[int],
    decay: float,
    floor: float,
) -> list[float]:
    """Each item's multiplier; ``groups`` are its authors or its topics, ``served`` those of earlier items."""
    counts = Counter(served)
    factors = [1.0] * len(scores)
    scored = [place for place, score in enumerate(scores) if not math.isnan(score)]
    for place in sorted(scored, key=lambda p: (-scores[p], -ids[p])):
        most = max((counts[group] for group in groups[place]), default=0)
        factors[place] = max(floor, decay**most)
        counts.update(groups[place])
    return factors


def order(scores: Sequence[float], ids: Sequence[int], outside: Sequence[bool], share: float) -> list[int]:
    """Slot for slot the best item that may stand there; unscored ones when all others have their slots."""
    slots: list[int] = []
    count = 0
    for unscored in (False, True):
        left = [place for place, score in enumerate(scores) if math.isnan(score) == unscored]
        left.sort(key=lambda p: (0.0 if unscored else -scores[p], -ids[p]))
        while left:
            inside = [place for place in left if not outside[place]]
            allowed = count + 1 <= share * (len(slots) + 1) + 1e-9
            chosen = left[0] if allowed or not inside else inside[0]
            left.remove(chosen)
            slots.append(chosen)
            count += outside[chosen]
    return slots
