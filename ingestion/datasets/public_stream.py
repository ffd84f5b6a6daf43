"""``public_stream``: three windows of minutes of a 1 % sample of public tweets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingestion.datasets.dataset import DatasetError, Recording, in_time_order
from ingestion.datasets.parquet import read_table
from ingestion.events import AccountRegistered, Event, FollowChanged, RetweetChanged, TweetCreated
from ingestion.snowflake import EPOCH_MS, time_of

_MOMENT = pa.timestamp("ns", "UTC")
SCHEMA = pa.schema(
    [
        pa.field("window", pa.string(), nullable=False),
        pa.field("record", pa.string(), nullable=False),
        pa.field("tweet_id", pa.int64(), nullable=False),
        pa.field("created_at", _MOMENT, nullable=False),
        pa.field("user_id", pa.int64(), nullable=False),
        pa.field("handle", pa.string(), nullable=False),
        ("text", pa.string()),
        ("lang", pa.string()),
        ("hashtags", pa.list_(pa.string())),
        ("mention_ids", pa.list_(pa.int64())),
        ("reply_to_tweet_id", pa.int64()),
        ("reply_to_user_id", pa.int64()),
        ("retweet_of", pa.int64()),
        ("retweet_of_user", pa.int64()),
        ("quote_of", pa.int64()),
        ("user_time_zone", pa.string()),
        ("user_lang", pa.string()),
        pa.field("user_created_at", _MOMENT, nullable=False),
    ]
)
CHUNK = 4096
Ids = npt.NDArray[np.int64]


def moment(tweet_id: int, created_ms: int) -> int:
    """The tweet's millisecond: its id's where that agrees with the recorded second, else the second."""
    by_id = time_of(tweet_id)
    return by_id if abs(by_id - created_ms) < 1000 else created_ms


class PublicStream:
    """Holds the file as Arrow columns (some tens of megabytes); rows are decoded a chunk at a time.

    Raises:
        DatasetError: the file is missing, or holds something else than its reader needs.
    """

    name = "public_stream"

    def __init__(self, directory: Path) -> None:
        path = directory / self.name / "tweets.parquet"
        self._table = read_table(path, SCHEMA)
        self._window = np.asarray(self._table.column("window").to_pylist())
        self._streamed = np.asarray(self._table.column("record").to_pylist()) == "stream"
        if unpaced := sorted(set(self._window.tolist()) - set(self._window[self._streamed].tolist())):
            raise DatasetError(
                f"{path} has no row with the record stream in the windows {', '.join(unpaced)}."
            )
        self._id = self._table.column("tweet_id").to_numpy()
        self._user = self._table.column("user_id").to_numpy()
        self._ts = np.asarray(
            [
                moment(tweet, created)
                for tweet, created in zip(self._id.tolist(), self._milliseconds("created_at"), strict=True)
            ],
            dtype=np.int64,
        )

    @cached_property
    def recordings(self) -> tuple[Recording, ...]:
        """One per window: from its first streamed record to its last."""
        found = []
        for window in sorted(set(self._window.tolist())):
            times = self._ts[(self._window == window) & self._streamed]
            found.append(Recording(str(window), int(times.min()), int(times.max())))
        return tuple(found)

    @property
    def size(self) -> int:
        return len(self._id) + len(self._implied) + len(self._first_seen) + len(self._taken_follows)

    def events(self, shift_ms: Mapping[str, int]) -> Iterator[Event]:
        return in_time_order(
            self._accounts(shift_ms),
            self._follows(shift_ms),
            self._originals(shift_ms),
            *(self._rows(recording.name, shift_ms[recording.name]) for recording in self.recordings),
        )

    def _milliseconds(self, column: str) -> list[int]:
        values: list[int] = (
            self._table.column(column).to_numpy().astype("datetime64[ms]").astype(np.int64).tolist()
        )
        return values

    @cached_property
    def _links(self) -> list[tuple[int, int, int | None, int | None, int | None]]:
        """(row, user, retweeted tweet, its author, account replied to) of every row that has one."""
        columns = zip(
            range(len(self._id)),
            self._user.tolist(),
            self._table.column("retweet_of").to_pylist(),
            self._table.column("retweet_of_user").to_pylist(),
            self._table.column("reply_to_user_id").to_pylist(),
            strict=True,
        )
        return [row for row in columns if row[2] is not None or row[4] is not None]

    @cached_property
    def _implied(self) -> dict[int, tuple[int, int, str]]:
        """Retweeted tweets that the file lacks: id -> (author, recorded time, window)."""
        known = set(self._id.tolist())
        implied: dict[int, tuple[int, int, str]] = {}
        for row, _, tweet, author, _ in self._links:
            if tweet is None or author is None or tweet in known or tweet in implied:
                continue
            before = int(self._ts[row]) - 1
            by_id = time_of(tweet)
            ts = by_id if EPOCH_MS < by_id < before else before
            implied[tweet] = (author, ts, str(self._window[row]))
        return implied

    @cached_property
    def _first_seen(self) -> dict[int, tuple[int, int]]:
        """User -> (first row or -1, row that mentions it first): whose window and time the account takes."""
        first: dict[int, tuple[int, int]] = {}
        for row, user in enumerate(self._user.tolist()):
            first.setdefault(user, (row, row))
        for row, _, _, author, replied in self._links:
            for user in (author, replied):
                if user is not None:
                    first.setdefault(user, (-1, row))
        return first

    @cached_property
    def _taken_follows(self) -> dict[tuple[int, int], int]:
        """(user, account it retweets or replies to) -> the first row that shows it."""
        taken: dict[tuple[int, int], int] = {}
        for row, user, _, author, replied in self._links:
            for followee in (author, replied):
                if followee is not None and followee != user:
                    taken.setdefault((user, followee), row)
        return taken

    def _shifted(self, row: int, shift_ms: Mapping[str, int]) -> int:
        return int(self._ts[row]) + shift_ms[str(self._window[row])]

    def _accounts(self, shift_ms: Mapping[str, int]) -> Iterator[Event]:
        handles = self._table.column("handle").to_pylist()
        created = self._milliseconds("user_created_at")
        zones = self._table.column("user_time_zone").to_pylist()
        starts: dict[int, int] = {}
        for tweet in self._implied.values():
            ts = tweet[1] + shift_ms[tweet[2]]
            starts[tweet[0]] = min(starts.get(tweet[0], ts), ts)
        events = []
        for user, (row, first) in self._first_seen.items():
            ts = min(self._shifted(first, shift_ms), starts.get(user, 1 << 62)) - 2
            shift = shift_ms[str(self._window[first])]
            handle = handles[row] if row >= 0 else f"id{user}"
            events.append(
                AccountRegistered(
                    event_id=f"ps:account:{user}",
                    ts=ts,
                    user_id=user,
                    handle=handle,
                    display_name=handle,
                    place=zones[row] if row >= 0 else None,
                    created_at=min(created[row] + shift, ts) if row >= 0 else ts,
                )
            )
        yield from sorted(events, key=lambda event: event.ts)

    def _follows(self, shift_ms: Mapping[str, int]) -> Iterator[Event]:
        edges = sorted((self._shifted(row, shift_ms) - 1, *pair) for pair, row in self._taken_follows.items())
        for ts, follower, followee in edges:
            yield FollowChanged(
                event_id=f"ps:follow:{follower}:{followee}",
                ts=ts,
                follower_id=follower,
                followee_id=followee,
                active=True,
            )

    def _originals(self, shift_ms: Mapping[str, int]) -> Iterator[Event]:
        ordered = sorted(
            (ts + shift_ms[window], tweet, author) for tweet, (author, ts, window) in self._implied.items()
        )
        for ts, tweet, author in ordered:
            yield TweetCreated(
                event_id=f"ps:implied:{tweet}", ts=ts, tweet_id=tweet, author_id=author, text=None
            )

    def _rows(self, window: str, shift: int) -> Iterator[Event]:
        chosen = np.flatnonzero(self._window == window)
        chosen = chosen[np.lexsort((self._id[chosen], self._ts[chosen]))]
        for start in range(0, len(chosen), CHUNK):
            indices = chosen[start : start + CHUNK]
            for index, row in zip(indices.tolist(), self._table.take(indices).to_pylist(), strict=True):
                yield _event(row, int(self._ts[index]) + shift)


def _event(row: dict[str, Any], ts: int) -> Event:
    if row["retweet_of"] is not None:
        return RetweetChanged(
            event_id=f"ps:{row['tweet_id']}",
            ts=ts,
            retweet_id=row["tweet_id"],
            user_id=row["user_id"],
            tweet_id=row["retweet_of"],
            author_id=row["retweet_of_user"],
            active=True,
        )
    return TweetCreated(
        event_id=f"ps:{row['tweet_id']}",
        ts=ts,
        tweet_id=row["tweet_id"],
        author_id=row["user_id"],
        text=row["text"],
        lang=row["lang"] or row["user_lang"],
        place=row["user_time_zone"],
        in_reply_to=row["reply_to_tweet_id"],
        quote_of=row["quote_of"],
        hashtags=tuple(row["hashtags"] or ()),
        mentions=tuple(dict.fromkeys(row["mention_ids"] or ())),
    )
