"""``retweet_cascade``: acts, follows and candidate lists of four days around one piece of news."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingestion.datasets.cascade_acts import KIND_ORDER, Act, Cascade, resolve
from ingestion.datasets.dataset import DatasetError, Recording, in_time_order
from ingestion.datasets.parquet import read_columns
from ingestion.events import (
    AccountRegistered,
    Event,
    FollowChanged,
    Impression,
    RetweetChanged,
    TweetCreated,
)

FOLDER = "retweet_cascade"
ACCOUNTS_BEFORE_MS = 2000
FOLLOWS_BEFORE_MS = 1000
Ids = npt.NDArray[np.int64]


def _numbers(*names: str) -> list[pa.Field]:
    return [pa.field(name, pa.int64(), nullable=False) for name in names]


ACTIVITY = pa.schema([*_numbers("user", "target", "ts"), pa.field("kind", pa.string(), nullable=False)])
FOLLOWS = pa.schema(_numbers("follower", "followee"))
LISTS = pa.schema(
    [
        *_numbers("impression_id", "viewer", "ts", "author", "author_last_seen_ts", "engaged"),
        pa.field("kind", pa.string()),
    ]
)


class RetweetCascade:
    """Reads the three files when opened; events are made as they are asked for.

    Raises:
        DatasetError: a file is missing, or holds something else than its reader needs.
    """

    name = "retweet_cascade"

    def __init__(self, directory: Path) -> None:
        folder = directory / FOLDER
        self._activity = read_columns(folder / "activity.parquet", ACTIVITY)
        self._follows = read_columns(folder / "follows.parquet", FOLLOWS)
        self._lists = read_columns(folder / "candidate_lists.parquet", LISTS)
        if unknown := sorted(set(self._activity["kind"]) - set(KIND_ORDER)):
            raise DatasetError(
                f"The column kind of {folder / 'activity.parquet'} holds {', '.join(unknown)}, "
                f"where {', '.join(KIND_ORDER)} belong."
            )

    @property
    def recordings(self) -> tuple[Recording, ...]:
        times: Ids = self._activity["ts"]
        return (Recording(self.name, int(times.min()) * 1000, int(times.max()) * 1000),)

    @property
    def size(self) -> int:
        acts = self._cascade
        follows = int((self._follows["follower"] != self._follows["followee"]).sum())
        return len(self._users) + follows + len(acts.acts) + len(acts.implied) + len(self._impressions)

    def events(self, shift_ms: Mapping[str, int]) -> Iterator[Event]:
        shift = shift_ms[self.name]
        return chain(
            self._accounts(shift),
            self._edges(shift),
            in_time_order(self._originals(shift), self._shown(shift), self._acts(shift)),
        )

    @cached_property
    def _users(self) -> Ids:
        """Everybody who acts, is acted on or stands in the graph."""
        users: Ids = np.unique(
            np.concatenate(
                [
                    self._activity["user"],
                    self._activity["target"],
                    self._follows["follower"],
                    self._follows["followee"],
                ]
            )
        )
        return users

    @cached_property
    def _cascade(self) -> Cascade:
        lists = self._lists
        seen = {
            (viewer, second, author): last_seen
            for viewer, second, author, last_seen, kind in zip(
                lists["viewer"].tolist(),
                lists["ts"].tolist(),
                lists["author"].tolist(),
                lists["author_last_seen_ts"].tolist(),
                lists["kind"],
                strict=True,
            )
            if kind == "RT"
        }
        activity = self._activity
        return resolve(
            list(
                zip(
                    activity["user"].tolist(),
                    activity["target"].tolist(),
                    activity["ts"].tolist(),
                    activity["kind"],
                    strict=True,
                )
            ),
            seen,
        )

    @cached_property
    def _impressions(self) -> list[tuple[int, int, int, int, int, int]]:
        """(ts, list, position, viewer, author, tweet) of every row whose author had an original by then.

        The author a viewer acted on is shown with the very tweet that the act refers to.
        """
        cascade, lists = self._cascade, self._lists
        referred: dict[tuple[int, int], Act] = {
            (act.user, act.ts): act for act in cascade.acts if act.original is not None
        }
        order = np.lexsort(
            (lists["author"], -lists["author_last_seen_ts"], lists["impression_id"], lists["ts"])
        )
        columns = ("ts", "impression_id", "viewer", "author", "author_last_seen_ts")
        ordered = zip(*(lists[name][order].tolist() for name in columns), strict=True)
        shown = []
        position, current = 0, None
        for second, impression, viewer, author, last_seen in ordered:
            if impression != current:
                position, current = 0, impression
            act = referred.get((viewer, second * 1000))
            if act is not None and act.target == author:
                tweet = act.original
            else:
                tweet = cascade.originals.newest(author, last_seen * 1000)
            if tweet is not None:
                shown.append((second * 1000 - 1, impression, position, viewer, author, tweet))
                position += 1
        return shown

    def _accounts(self, shift: int) -> Iterator[Event]:
        ts = self.recordings[0].first_ms - ACCOUNTS_BEFORE_MS + shift
        for user in self._users.tolist():
            yield AccountRegistered(
                event_id=f"rc:account:{user}",
                ts=ts,
                user_id=user,
                handle=f"u{user}",
                display_name=f"User {user}",
                created_at=ts,
            )

    def _edges(self, shift: int) -> Iterator[Event]:
        ts = self.recordings[0].first_ms - FOLLOWS_BEFORE_MS + shift
        pairs = zip(self._follows["follower"].tolist(), self._follows["followee"].tolist(), strict=True)
        for follower, followee in pairs:
            if follower != followee:
                yield FollowChanged(
                    event_id=f"rc:follow:{follower}:{followee}",
                    ts=ts,
                    follower_id=follower,
                    followee_id=followee,
                    active=True,
                )

    def _originals(self, shift: int) -> Iterator[Event]:
        for tweet in self._cascade.implied:
            yield TweetCreated(
                event_id=f"rc:implied:{tweet.tweet_id}",
                ts=tweet.ts + shift,
                tweet_id=tweet.tweet_id,
                author_id=tweet.author,
                text=None,
            )

    def _shown(self, shift: int) -> Iterator[Event]:
        for ts, impression, position, viewer, author, tweet in self._impressions:
            yield Impression(
                event_id=f"rc:shown:{impression}:{position}",
                ts=ts + shift,
                request_id=f"rc:{impression}",
                user_id=viewer,
                tweet_id=tweet,
                author_id=author,
                position=position,
                source="following",
                rung="recorded",
            )

    def _acts(self, shift: int) -> Iterator[Event]:
        for act in self._cascade.acts:
            if act.kind == "retweet" and act.original is not None:
                yield RetweetChanged(
                    event_id=f"rc:act:{act.act_id}",
                    ts=act.ts + shift,
                    retweet_id=act.act_id,
                    user_id=act.user,
                    tweet_id=act.original,
                    author_id=act.target,
                    active=True,
                )
            else:
                yield TweetCreated(
                    event_id=f"rc:act:{act.act_id}",
                    ts=act.ts + shift,
                    tweet_id=act.act_id,
                    author_id=act.user,
                    text=None,
                    in_reply_to=act.original,
                    mentions=act.mentions,
                )
