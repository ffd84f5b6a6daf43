"""Compares every viewer's chronological feed, read through HTTP, with the fold of the log."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from pydantic import Field

from ingestion.topics import FOLLOWS, RESTRICTIONS, TWEETS
from serving.feed.hydrators import RETWEETERS_SHOWN
from stack.settings import StackSettings
from stack.verify.compare import Difference, compare
from stack.verify.feeds import FeedPages
from stack.verify.fold import FeedFold, Item
from stack.verify.log import read_log
from timelines.settings import TimelineSettings

PRESENT = (FOLLOWS, RESTRICTIONS)
"""Topics that hold what is true now, however long ago it was written."""


class VerifySettings(StackSettings):
    """What ``tideline verify`` reads."""

    timelines: TimelineSettings = Field(default_factory=TimelineSettings)


@dataclass(frozen=True)
class Verdict:
    """``entries`` are the items read; ``beyond_length`` viewers have more than a timeline keeps."""

    viewers: int
    entries: int
    missing: int
    extra: int
    duplicates: int
    pulled_authors: int
    beyond_length: int
    empty: int
    wrong_viewers: int
    seconds: float

    @property
    def holds(self) -> bool:
        return not (self.missing or self.extra or self.duplicates)

    def as_json(self) -> dict[str, int | float]:
        return asdict(self)


Progress = Callable[[str, int, int], None]
"""Told (step, done, of how many)."""


def fold_log(settings: VerifySettings, progress: Progress, from_ms: int | None = None) -> FeedFold:
    """The fold of what the job ``timelines`` has read: the log, its tweets since ``from_ms`` (UTC), and what
    a replay put beside it.

    Raises:
        LogUnavailableError: the broker does not answer.
    """
    fold = FeedFold()
    told = lambda done, total: progress("folding the log", done, total)  # noqa: E731
    fold.apply_all(read_log(settings.kafka, settings.namespace, PRESENT, told))
    if from_ms is not None:
        for event in read_log(settings.kafka, settings.namespace, (TWEETS,), told):
            fold.know(event)
    fold.apply_all(read_log(settings.kafka, settings.namespace, (TWEETS,), told, from_ms))
    if beside := settings.projections.timelines:
        fold.apply_all(read_log(settings.kafka, beside, (TWEETS,), told))
    return fold


async def verify(
    settings: VerifySettings,
    fold: FeedFold,
    at_most: int | None,
    token_of: Callable[[int], str],
    concurrency: int,
    progress: Progress,
    chosen: Sequence[int] | None = None,
) -> tuple[Verdict, dict[int, Difference]]:
    """Read and compare the feed of everybody who ever followed somebody; an empty feed is a feed.

    With ``at_most`` only so many of them, evenly spread over their ids; with ``chosen`` those.

    Returns:
        The verdict, and the differences by viewer.

    Raises:
        FeedReadError: a feed could not be read.
    """
    started = time.monotonic()
    length, viewers = settings.timelines.length, fold.viewers if chosen is None else list(chosen)
    if at_most is not None:
        viewers = viewers[:: max(1, -(-len(viewers) // at_most))]
    total, entries, empty = Difference(), 0, 0
    wrong: dict[int, Difference] = {}
    async with FeedPages(settings.api.url, token_of, concurrency) as pages:
        done = 0
        async for reader, found in pages.feeds(viewers):
            difference = compare([_as_shown(item) for item in fold.feed(reader, length)], found)
            if difference:
                wrong[reader] = difference
                total += difference
            entries += len(found)
            empty += not found
            done += 1
            progress("reading feeds", done, len(viewers))
    verdict = Verdict(
        viewers=len(viewers),
        entries=entries,
        missing=total.missing,
        extra=total.extra,
        duplicates=total.duplicates,
        pulled_authors=fold.authors_with_followers(settings.timelines.pull_above),
        beyond_length=sum(fold.appearances(viewer) > length for viewer in viewers),
        empty=empty,
        wrong_viewers=len(wrong),
        seconds=round(time.monotonic() - started, 1),
    )
    return verdict, wrong


def _as_shown(item: Item) -> Item:
    """The API names the newest retweeters only."""
    return Item(item.tweet_id, item.retweeted_by[:RETWEETERS_SHOWN])
