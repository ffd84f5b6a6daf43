"""The baselines' orders on rows whose right order is plain."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from features.names import MODEL_INPUT
from training.baselines import BASELINES, Affinity, AuthorPopularity, Chronological, Hot, Popularity, Ranker


def rows(**columns: list[float]) -> pd.DataFrame:
    size = len(next(iter(columns.values())))
    frame = pd.DataFrame(np.nan, index=range(size), columns=[*MODEL_INPUT, "tweet"])
    return frame.assign(**columns)


def best(ranker: Ranker, frame: pd.DataFrame) -> int:
    return int(np.argmax(ranker.score(frame)))


def test_chronological_tells_tweets_of_one_millisecond_apart() -> None:
    # As floats these two ids would be equal.
    frame = rows(tweet=[1 << 60, (1 << 60) + 1])
    assert best(Chronological(), frame) == 1


def test_popularity_adds_up_the_tweets_engagements() -> None:
    assert best(Popularity(), rows(tweet_likes=[5, 0], tweet_retweets=[0, 3], tweet_replies=[0, 3])) == 1


def test_author_popularity_adds_up_what_the_author_received() -> None:
    assert best(AuthorPopularity(), rows(author_likes_received=[9, 1], author_retweets_received=[0, 2])) == 0


def test_hot_prefers_the_newer_of_two_equally_popular() -> None:
    assert best(Hot(), rows(tweet_likes=[10, 10], context_age_hours=[20, 1])) == 1


def test_affinity_prefers_whom_the_reader_engaged_with() -> None:
    assert best(Affinity(), rows(pair_engagements=[np.nan, 2])) == 1


@pytest.mark.parametrize("ranker", BASELINES, ids=lambda ranker: ranker.name)
def test_every_baseline_scores_rows_without_any_feature(ranker: Ranker) -> None:
    assert np.isfinite(ranker.score(rows(tweet=[3, 4]))).all()
