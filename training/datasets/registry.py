"""The datasets that lists are judged on, by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from features.ranking_log import RankingLog
from ingestion.datasets.dataset import DatasetError
from training.datasets import news_impressions, retweet_cascade, synthetic, tweet_engagement
from training.datasets.folders import Folders

READERS: dict[str, Callable[[Folders], RankingLog]] = {
    module.NAME: module.read for module in (news_impressions, retweet_cascade, synthetic, tweet_engagement)
}


def read_log(dataset: str, train: Path, test: Path) -> RankingLog:
    """The log of ``train`` and of ``test``, its later continuation.

    Raises:
        DatasetError: there is no such dataset, or a folder is not what its reader needs.
    """
    if dataset not in READERS:
        raise DatasetError(f"There is no dataset {dataset}; there are {', '.join(sorted(READERS))}.")
    return READERS[dataset](Folders(dataset, train, test))
