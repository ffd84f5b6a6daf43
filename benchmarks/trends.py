"""Whether trends are right: against plain counting of real tweets, and against planted bursts.

The same answer each time, so it is worked out once. ``recall_at_20`` is the mean over the lists of
``public_stream``: windows of 1 and 5 minutes, every minute, for the world and for each language.

The bursts are those of the synthetic world, after its first day, in the hourly lists of its places and of the
world. ``recall`` is the share that is listed within 5 minutes of the onset, the moment when the fifth person
joined; ``burst_minutes`` is the median delay, until the list is published; ``precision`` is the share of the
terms ever listed that are bursts.
"""

from __future__ import annotations

import os
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.harness import BenchmarkRefusedError, Figures, Trial
from benchmarks.trends_plain import PlainTrends, lists, parts_of, recall, terms_of
from ingestion.clock import no_shift
from ingestion.datasets.dataset import DatasetError
from ingestion.datasets.public_stream import PublicStream
from ingestion.events import Event, TweetCreated, encode
from ingestion.world.generate import generate
from ingestion.world.plan import WorldPlan
from pipelines.trends.board import Row
from pipelines.trends.engine import TrendEngine
from pipelines.trends.occurrences import Reader
from pipelines.trends.plan import TrendPlan, Window
from pipelines.trends.stop_words import stop_words
from pipelines.trends.terms import TermReader
from timelines.durations import DAY_MS, HOUR_MS, MINUTE_MS

BATCH = 1000
TOP = 20
STREAM_PLAN = TrendPlan(
    windows=(Window("1m", 1, 1, 1, 60), Window("5m", 5, 1, 1, 60)), languages=True, late_ms=0
)
BURST_PLAN = TrendPlan(windows=(Window("1h", 60, 1, 1, 24 * 60),))
WITHIN_MINUTES = 5.0
ONSET_AUTHORS = 5


@contextmanager
def trial() -> Iterator[Trial]:
    yield Trial("trends", lambda: {**stream_figures(), **burst_figures()}, warmups=0)


def rows_of(events: Iterable[Event], plan: TrendPlan) -> list[Row]:
    """The analysts' rows of a log of one partition."""
    reader = Reader(TermReader(stop_words()), plan.pane_ms, plan.languages)
    engine = TrendEngine(plan, partitions=1)
    engine.begin(0)
    values = [encode(event) for event in events]
    rows: list[Row] = []
    for start in range(0, len(values), BATCH):
        engine.take(msgspec.msgpack.encode(reader.read(0, values[start : start + BATCH])), 0)
        rows += engine.close_panes(0)
    return rows


@cache
def stream_figures() -> Figures:
    try:
        dataset = PublicStream(Path(os.environ.get("TIDELINE_DATA", "../shared/data")))
    except DatasetError as error:
        raise BenchmarkRefusedError(str(error)) from error
    tweets = [e for e in dataset.events(no_shift(dataset.recordings)) if isinstance(e, TweetCreated)]
    plan = STREAM_PLAN
    found = dict(lists((r.place, r.window, r.as_of, r.rank, r.term) for r in rows_of(tweets, plan)))
    counted = PlainTrends(plan.pane_ms, plan.min_authors)
    stop = parts_of(stop_words())
    for tweet in tweets:
        places = ("world", f"lang:{tweet.lang}") if tweet.lang else ("world",)
        counted.add(tweet, places, terms_of(tweet, stop))
    recalls = []
    last = max(pane for panes in counted.totals.values() for pane in panes)
    for place, panes in counted.totals.items():
        for window in plan.windows:
            for now in sorted({pane + after for pane in panes for after in range(window.panes)}):
                if now >= last:
                    continue
                scores = counted.scores(place, now, window.panes, window.half_life)
                ours = found.get((place, window.name, (now + 1) * plan.pane_ms), [])
                if (share := recall(ours, scores, TOP)) is not None:
                    recalls.append(share)
    return {"recall_at_20": statistics.mean(recalls), "lists": len(recalls), "worst_list": min(recalls)}


@cache
def burst_figures(plan: WorldPlan = WorldPlan()) -> Figures:  # noqa: B008 - a frozen value
    world = generate(plan)
    tweets = world.tables["tweets"].to_pylist()
    bursts = [b for b in world.tables["truth_bursts"].to_pylist() if b["start_ms"] >= plan.start_ms + DAY_MS]
    rows = rows_of(map(_event, tweets), BURST_PLAN)
    first: dict[tuple[str, str], int] = {}
    episodes: set[tuple[str, str, int]] = set()
    for row in rows:
        if row.since is not None and row.since >= plan.start_ms + DAY_MS:
            episodes.add((row.place, row.term, row.since))
    for place, term, since in sorted(episodes, key=lambda episode: episode[2]):
        first.setdefault((place, term), since)
    planted = {f"#{burst['hashtag']}": burst for burst in world.tables["truth_bursts"].to_pylist()}
    right = sum(
        term in planted and planted[term]["start_ms"] <= since <= planted[term]["end_ms"] + HOUR_MS
        for _, term, since in episodes
    )
    onsets = _onsets(tweets, ONSET_AUTHORS)
    delays = []
    for burst in bursts:
        listed = first.get((burst["place"], f"#{burst['hashtag']}"))
        onset = onsets[burst["place"], burst["hashtag"]]
        if listed is not None:
            delays.append((listed + BURST_PLAN.late_ms - onset) / MINUTE_MS)
    return {
        "burst_minutes": statistics.median(delays),
        "burst_minutes_most": max(delays),
        "precision": right / len(episodes),
        "recall": sum(delay <= WITHIN_MINUTES for delay in delays) / len(bursts),
        "bursts": len(bursts),
    }


def _event(row: dict[str, Any]) -> TweetCreated:
    lists_as_tuples = {name: tuple(value) for name, value in row.items() if isinstance(value, list)}
    return TweetCreated(event_id=str(row["tweet_id"]), **{**row, **lists_as_tuples})


def _onsets(tweets: Iterable[dict[str, Any]], authors: int) -> dict[tuple[str, str], int]:
    """(place, hashtag) -> when so many different people had used it there."""
    seen: dict[tuple[str, str], set[int]] = defaultdict(set)
    onsets: dict[tuple[str, str], int] = {}
    for tweet in tweets:
        for tag in tweet["hashtags"]:
            key = (tweet["place"], tag)
            seen[key].add(tweet["author_id"])
            if len(seen[key]) >= authors:
                onsets.setdefault(key, tweet["ts"])
    return onsets
