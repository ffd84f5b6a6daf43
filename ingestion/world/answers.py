"""How likely a reader is to engage with a tweet that is shown, and what an engagement is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ingestion.world.people import Floats, Ints, People
from ingestion.world.plan import Engagement

ALSO_LIKED, LIKED, REPLIED = 0.4, 0.76, 0.17
"""Of what is retweeted, so much is liked, too; of what else is engaged with, liked or replied to; the rest is
quoted."""

Act = Literal["like", "retweet", "reply", "quote"]


@dataclass(frozen=True)
class Chances:
    """The planted truth of one page, arrays over its positions.

    Attributes:
        parts: [n, 5] topic match, author quality, pair affinity, age in hours, popularity.
        p_engaged: [n] chance of any engagement.
        p_retweeted: [n] chance of a retweet.
    """

    parts: Floats
    p_engaged: Floats
    p_retweeted: Floats


def chances(
    weights: Engagement,
    people: People,
    reader: int,
    author: Ints,
    topic: Ints,
    affinity: Floats,
    age_hours: Floats,
    popularity: Floats,
) -> Chances:
    """The chances of a page that shows ``reader`` tweets of ``author`` [n] about ``topic`` [n].

    Args:
        affinity: [n] of the reader for each author, 0 where there is no follow.
        popularity: [n] engagements that each tweet has so far.
    """
    parts = np.stack(
        [people.topics[reader][topic], people.quality[author], affinity, age_hours, popularity], axis=1
    )
    odds = (
        weights.intercept
        + weights.reader * people.warmth[reader]
        + weights.topic_match * parts[:, 0]
        + weights.author_quality * parts[:, 1]
        + weights.pair_affinity * parts[:, 2]
        + weights.age * np.log1p(parts[:, 3])
        + weights.popularity * np.log1p(parts[:, 4])
        + weights.position * np.arange(len(author))
    )
    share = (
        weights.retweet_intercept
        + weights.retweet_author * people.shareable[author]
        + weights.retweet_reader * people.retweeting[reader]
    )
    engaged = 1 / (1 + np.exp(-odds))
    return Chances(parts, engaged, engaged / (1 + np.exp(-share)))


def acts_of(retweeted: bool, how: float) -> tuple[Act, ...]:
    """What an engagement is made of; ``how`` is a uniform draw."""
    if retweeted:
        return ("retweet", "like") if how < ALSO_LIKED else ("retweet",)
    if how < LIKED:
        return ("like",)
    return ("reply",) if how < LIKED + REPLIED else ("quote",)
