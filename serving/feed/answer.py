"""What the feed gives back to the HTTP layer: the page as values, before it becomes JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from serving.feed.candidates import Candidates
from serving.feed.policy import Policy
from serving.pipeline.reports import StageReport
from serving.shapes import Reason, Rung
from timelines.entry import Ids


@dataclass(frozen=True)
class Answer:
    """One page: ``first_position`` is the place of its first item in the whole scrolling.

    ``appearances`` are those of the whole ranking, int64; ``policy`` made its order;
    ``arm`` is the reader's in the experiment under way, ``experiment:arm``.
    ``rest``: what follows the page.
    """

    request_id: str
    rung: Rung
    reason: Reason | None
    model: str | None
    items: Candidates
    first_position: int
    next_cursor: str | None
    candidates: int
    as_of_ms: int
    reports: Sequence[StageReport]
    removed: Mapping[str, int] = field(default_factory=dict)
    policy: Policy | None = None
    arm: str | None = None
    rest: Candidates | None = None
    appearances: Ids = field(default_factory=lambda: np.empty(0, dtype=np.int64))
