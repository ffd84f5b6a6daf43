"""The datasets by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ingestion.datasets.dataset import Dataset, DatasetError
from ingestion.datasets.public_stream import PublicStream
from ingestion.datasets.retweet_cascade import RetweetCascade
from ingestion.datasets.synthetic import Synthetic

DATASETS: dict[str, Callable[[Path], Dataset]] = {
    "synthetic": Synthetic,
    "retweet_cascade": RetweetCascade,
    "public_stream": PublicStream,
}


def open_dataset(name: str, directory: Path) -> Dataset:
    """The dataset of that name, read from ``directory``.

    Raises:
        DatasetError: there is no such dataset, or its files are missing or lack columns.
    """
    if name not in DATASETS:
        raise DatasetError(f"There is no dataset {name}; there are {', '.join(sorted(DATASETS))}.")
    return DATASETS[name](directory)
