"""``synthetic``: a world written by ``tideline world``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from ingestion.datasets.dataset import DatasetError, Recording, in_time_order
from ingestion.datasets.parquet import open_file, row_count, rows
from ingestion.events import (
    AccountRegistered,
    AuthorHidden,
    ClientReport,
    Event,
    FollowChanged,
    Impression,
    LikeChanged,
    RetweetChanged,
    TweetCreated,
    TweetDeleted,
)
from ingestion.world.schema import EVENT_FILES, FILES, LATER_FILES
from timelines.durations import DAY_MS


class Synthetic:
    """Each file is in event-time order and read a batch at a time; a world of format 1 has no reports.

    Raises:
        DatasetError: a file is missing, or holds something else than its reader needs.
    """

    name = "synthetic"

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._files = tuple(
            stem for stem in EVENT_FILES if stem not in LATER_FILES or self._path(stem).exists()
        )
        for stem in self._files:
            open_file(self._path(stem), FILES[stem])
        if not row_count(self._path("tweets")):
            raise DatasetError(f"The dataset file {self._path('tweets')} holds no rows.")

    @property
    def recordings(self) -> tuple[Recording, ...]:
        tweets = self._span("tweets")
        # A world that nobody has read yet has no impressions.
        first = min(self._span(stem)[0] for stem in ("tweets", "impressions") if row_count(self._path(stem)))
        others = ("impressions", "retweets", "likes", "deletes", "follows", "reports")
        acts = (self._span(stem) for stem in others if stem in self._files)
        return (Recording(self.name, first, max(tweets[1], *(end for _, end in acts))),)

    @property
    def size(self) -> int:
        return sum(row_count(self._path(stem)) for stem in self._files)

    def events(self, shift_ms: Mapping[str, int]) -> Iterator[Event]:
        shift = shift_ms[self.name]
        return in_time_order(
            self._accounts(shift),
            self._follows(shift),
            self._tweets(shift),
            self._impressions(shift),
            self._retweets(shift),
            self._likes(shift),
            self._deletes(shift),
            self._reports(shift),
            self._hides(shift),
        )

    def _path(self, stem: str) -> Path:
        return self._directory / f"{stem}.parquet"

    def _span(self, stem: str) -> tuple[int, int]:
        times = pq.read_table(self._path(stem), columns=["ts"]).column("ts")
        ends = pc.min_max(times).as_py()
        return (ends["min"] or 0, ends["max"] or 0)

    def _accounts(self, shift: int) -> Iterator[Event]:
        began = min(recording.first_ms for recording in self.recordings)
        for user, ts, handle, display_name, place in rows(self._path("accounts"), FILES["accounts"]):
            yield AccountRegistered(
                event_id=f"sy:account:{user}",
                ts=ts + shift,
                user_id=user,
                handle=handle,
                display_name=display_name,
                place=place,
                # Those who were there before the world began are of all ages.
                created_at=ts + shift - (DAY_MS * (30 + user % 1000) if ts < began else 0),
            )

    def _follows(self, shift: int) -> Iterator[Event]:
        for ts, follower, followee, active in rows(self._path("follows"), FILES["follows"]):
            yield FollowChanged(
                event_id=f"sy:follow:{follower}:{followee}:{ts}",
                ts=ts + shift,
                follower_id=follower,
                followee_id=followee,
                active=active,
            )

    def _tweets(self, shift: int) -> Iterator[Event]:
        for tweet, ts, author, text, lang, place, reply, quote, tags, mentions in rows(
            self._path("tweets"), FILES["tweets"]
        ):
            yield TweetCreated(
                event_id=f"sy:tweet:{tweet}",
                ts=ts + shift,
                tweet_id=tweet,
                author_id=author,
                text=text,
                lang=lang,
                place=place,
                in_reply_to=reply,
                quote_of=quote,
                hashtags=tuple(tags),
                mentions=tuple(mentions),
            )

    def _retweets(self, shift: int) -> Iterator[Event]:
        for retweet, ts, user, tweet, author, active in rows(self._path("retweets"), FILES["retweets"]):
            yield RetweetChanged(
                event_id=f"sy:retweet:{retweet}:{int(active)}",
                ts=ts + shift,
                retweet_id=retweet,
                user_id=user,
                tweet_id=tweet,
                author_id=author,
                active=active,
            )

    def _likes(self, shift: int) -> Iterator[Event]:
        for ts, user, tweet, author, active in rows(self._path("likes"), FILES["likes"]):
            yield LikeChanged(
                event_id=f"sy:like:{user}:{tweet}:{ts}",
                ts=ts + shift,
                user_id=user,
                tweet_id=tweet,
                author_id=author,
                active=active,
            )

    def _deletes(self, shift: int) -> Iterator[Event]:
        for ts, tweet, author in rows(self._path("deletes"), FILES["deletes"]):
            yield TweetDeleted(event_id=f"sy:delete:{tweet}", ts=ts + shift, tweet_id=tweet, author_id=author)

    def _impressions(self, shift: int) -> Iterator[Event]:
        for ts, request, user, tweet, author, position in rows(
            self._path("impressions"), FILES["impressions"]
        ):
            yield Impression(
                event_id=f"sy:shown:{request}:{position}",
                ts=ts + shift,
                request_id=f"sy:{request}",
                user_id=user,
                tweet_id=tweet,
                author_id=author,
                position=position,
                source="following",
                rung="recorded",
            )

    def _reports(self, shift: int) -> Iterator[Event]:
        for ts, request, user, tweet, _, position, action, ms in self._reported():
            yield ClientReport(
                event_id=f"sy:{action}:{request}:{position}",
                ts=ts + shift,
                feed_request_id=f"sy:{request}",
                user_id=user,
                tweet_id=tweet,
                position=position,
                action=action,
                ms=ms,
            )

    def _hides(self, shift: int) -> Iterator[Event]:
        """What the API makes of a hide or a report, beside it."""
        for ts, request, user, _, author, position, action, _ in self._reported():
            if action in ("hide", "report"):
                yield AuthorHidden(
                    event_id=f"sy:hidden:{request}:{position}",
                    ts=ts + shift,
                    user_id=user,
                    author_id=author,
                )

    def _reported(self) -> Iterator[tuple[Any, ...]]:
        return rows(self._path("reports"), FILES["reports"]) if "reports" in self._files else iter(())
