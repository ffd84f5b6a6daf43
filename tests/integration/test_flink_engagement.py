"""The engagement job on the embedded mini cluster: the tallies of the fold of the log, whatever its order."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import redis

from features.aggregates import ACCOUNT, SHOWING, TWEET, EngagementFold, TallyKind, decayed
from features.names import (
    AFFINITY_S,
    AUTHOR_ENGAGEMENT,
    TWEET_ENGAGEMENT,
    TWEET_SHOWINGS,
    USER_AUTHOR_RECENT,
    WINDOWS,
)
from features.rows import at_age, decode_rows, row_key, unpack_rows
from features.tallies import TALLIED, values_of
from ingestion.events import (
    ClientReport,
    ClockAdvanced,
    Event,
    FollowChanged,
    Impression,
    LikeChanged,
    RetweetChanged,
    TweetCreated,
    TweetDeleted,
    encode,
)
from ingestion.topics import ENGAGEMENTS, FOLLOWS, IMPRESSIONS, REPORTS, TWEETS, Topic
from pipelines.settings import FlinkSettings
from timelines.bodies import AccountCounts, TweetCounts, decode_account_counts, decode_tweet_counts
from timelines.keys import Keyspace
from timelines.settings import RedisSettings, TimelineSettings

pytestmark = [pytest.mark.flink, pytest.mark.valkey]

NAMESPACE = "engagementtest"
MINUTE = 60_000
HOUR = 60 * MINUTE
START = 1_350_000_000_000 // HOUR * HOUR
END = START + 20 * HOUR
KEYS = Keyspace(NAMESPACE, RedisSettings().partitions)
USERS, TWEETS_MADE = range(900, 908), range(10, 22)
AUTHOR = {tweet: 900 + tweet % 4 for tweet in TWEETS_MADE}


def random_log() -> list[Event]:
    """Everything that may happen to a few tweets and accounts: given, taken back, given again, deleted."""
    dice = random.Random(7)
    log: list[Event] = []

    def stamp() -> dict[str, Any]:
        # Minutes, so that many changes of one edge share their millisecond.
        return {"event_id": f"e{len(log)}", "ts": START + dice.randrange(20 * 60) * MINUTE}

    for tweet in TWEETS_MADE:
        about = dice.choice([None, *TWEETS_MADE])
        quoted = dice.choice([None, None, *TWEETS_MADE])
        log.append(
            TweetCreated(
                **stamp(),
                tweet_id=tweet,
                author_id=AUTHOR[tweet],
                text="",
                in_reply_to=None if about == tweet else about,
                quote_of=None if quoted == tweet else quoted,
            )
        )
    for _ in range(300):
        tweet, user = dice.choice(TWEETS_MADE), dice.choice(USERS)
        edge = {"user_id": user, "tweet_id": tweet, "author_id": AUTHOR[tweet]}
        active = dice.random() < 0.6
        page = {"user_id": user, "tweet_id": tweet, "position": 0}
        log.append(
            dice.choice(
                [
                    LikeChanged(**stamp(), **edge, active=active),
                    RetweetChanged(**stamp(), **edge, retweet_id=1000 + len(log), active=active),
                    FollowChanged(**stamp(), follower_id=user, followee_id=dice.choice(USERS), active=active),
                    Impression(
                        **stamp(),
                        **page,
                        request_id=f"r{dice.randrange(40)}",
                        author_id=AUTHOR[tweet],
                        source="home",
                        rung="chronological",
                    ),
                    ClientReport(
                        **stamp(),
                        **page,
                        feed_request_id=f"r{dice.randrange(40)}",
                        action=dice.choice(["open", "open", "shown"]),
                    ),
                ]
            )
        )
    for tweet in (11, 12, 15):
        log.append(TweetDeleted(**stamp(), tweet_id=tweet, author_id=AUTHOR[tweet]))
    return log


def topic_of(event: Event) -> Topic:
    match event:
        case LikeChanged():
            return ENGAGEMENTS
        case FollowChanged():
            return FOLLOWS
        case Impression():
            return IMPRESSIONS
        case ClientReport():
            return REPORTS
    return TWEETS


class Expected:
    """The fold of a log, written down the plain way: every edge by its last word."""

    def __init__(self, log: list[Event]) -> None:
        self.folds: dict[tuple[TallyKind, int], EngagementFold] = {}
        self.pairs: dict[tuple[int, int], dict[Any, tuple[int, str, bool]]] = defaultdict(dict)
        posts: dict[int, TweetCreated] = {e.tweet_id: e for e in log if isinstance(e, TweetCreated)}
        deleted = {e.tweet_id: e for e in log if isinstance(e, TweetDeleted)}
        firsts: dict[tuple[str, int, str], int] = defaultdict(lambda: 1 << 62)
        for event in log:
            match event:
                case LikeChanged():
                    self.edge(TWEET, event.tweet_id, "likes", event.user_id, event)
                    self.act(event.user_id, event.author_id, ("like", event.tweet_id), event)
                case RetweetChanged():
                    self.edge(TWEET, event.tweet_id, "retweets", event.user_id, event)
                    edge = ("retweet", event.user_id, event.tweet_id)
                    self.act(event.user_id, event.author_id, edge, event)
                    self.edge(ACCOUNT, event.user_id, "tweets", edge, event)
                case FollowChanged():
                    self.edge(ACCOUNT, event.followee_id, "followers", event.follower_id, event)
                    self.edge(ACCOUNT, event.follower_id, "following", event.followee_id, event)
                case Impression():
                    first = ("impressions", event.tweet_id, event.request_id)
                    firsts[first] = min(firsts[first], event.ts)
                case ClientReport(action="open"):
                    first = ("clicks", event.tweet_id, event.feed_request_id)
                    firsts[first] = min(firsts[first], event.ts)
        for (slot, tweet, page), ts in firsts.items():
            self.fold(SHOWING, tweet).apply(slot, page, ts, "", True)
        for tweet, post in posts.items():
            end = deleted.get(tweet)
            # A deletion is the last word whenever it was said; it tells no parent newer numbers.
            self.fold(ACCOUNT, post.author_id).apply(
                "tweets", tweet, end.ts if end else post.ts, "", end is None
            )
            for slot, about in (("replies", post.in_reply_to), ("quotes", post.quote_of)):
                if about is not None and end is None:
                    self.fold(TWEET, about).apply(slot, tweet, post.ts, "", True)
                    author = posts[about].author_id
                    self.fold(ACCOUNT, author).apply("received", (slot, tweet), post.ts, "", True)
                    self.pairs[post.author_id, author][slot, tweet] = (post.ts, "", True)

    def fold(self, kind: TallyKind, owner: int) -> EngagementFold:
        return self.folds.setdefault((kind, owner), EngagementFold(kind))

    def act(self, user: int, author: int, edge: Any, event: Any) -> None:
        self.edge(ACCOUNT, author, "received", (user, edge), event)
        last = self.pairs[user, author]
        if (event.ts, event.event_id) > last.get(edge, (-1, ""))[:2]:
            last[edge] = (event.ts, event.event_id, event.active)

    def affinity(self, pair: tuple[int, int], now_ms: int) -> float:
        acts = self.pairs[pair].values()
        return sum(decayed(1.0, now_ms - ts, AFFINITY_S) for ts, _, active in acts if active)

    def edge(self, kind: TallyKind, owner: int, slot: str, edge: Any, event: Any) -> None:
        self.fold(kind, owner).apply(slot, edge, event.ts, event.event_id, event.active)


LOG = random_log()
EXPECTED = Expected(LOG)


@pytest.fixture(scope="module")
def store(
    tmp_path_factory: pytest.TempPathFactory, flink_environment: Callable[[], Any], valkey: str
) -> Iterator[redis.Redis]:
    """The store when the running job has read a log that is shuffled and says much of it twice."""
    from pyflink.table import StreamTableEnvironment

    from pipelines.stream import engagement, sql_tables
    from pipelines.stream.engagement_queries import USED
    from pipelines.stream.store import StoreAddress

    folder = tmp_path_factory.mktemp("engagement")
    dice = random.Random(11)
    records = [*LOG, *dice.sample(LOG, 150)]
    dice.shuffle(records)
    lines: dict[Topic, list[bytes]] = {topic: [b"no event"] for topic in engagement.INPUTS}
    for event in records:
        lines[topic_of(event)].append(encode(event))
    lines[ENGAGEMENTS].append(encode(ClockAdvanced(event_id="clock", ts=START + 100 * HOUR)))
    env = flink_environment()
    t_env = StreamTableEnvironment.create(env)
    for topic in engagement.INPUTS:
        (folder / topic.name).mkdir()
        (folder / topic.name / "log.json").write_bytes(b"\n".join(lines[topic]))
        # A source that goes on looking for files: the job runs on, as it does on Kafka.
        source = {
            "connector": "filesystem",
            "path": str(folder / topic.name),
            "source.monitor-interval": "1 s",
            **sql_tables.json_format(),
        }
        sql_tables.create_event_table(t_env, topic, source, used=USED)
    address = StoreAddress(RedisSettings(url=valkey), TimelineSettings(), NAMESPACE)
    engagement.build(t_env, address, FlinkSettings()).print()
    job = env.execute_async("engagement test")
    client = redis.Redis.from_url(valkey)
    try:
        until = time.monotonic() + 60
        while wrong := differences(client):
            assert time.monotonic() < until, f"these rows are not the fold's: {wrong[:5]}"
            assert not job.get_job_status().result().is_globally_terminal_state(), "the job ended"
            time.sleep(0.2)
        yield client
    finally:
        job.cancel().result()


def differences(store: redis.Redis) -> list[tuple[str, int, list[float], list[float]]]:
    wrong = []
    for (kind, owner), fold in EXPECTED.folds.items():
        view, tally = TALLIED[kind], fold.tally()
        got, _ = decode_rows(view, [store.get(row_key(KEYS, view, [owner]))], END)
        wanted = at_age(view, values_of(kind, tally), (END - tally["version"]).astype(np.float64))
        if not np.allclose(got, wanted, rtol=1e-4, atol=1e-9):
            wrong.append((view.name, owner, got[0].tolist(), wanted[0].tolist()))
    for pair in EXPECTED.pairs:
        stored = store.get(row_key(KEYS, USER_AUTHOR_RECENT, pair))
        got, _ = decode_rows(USER_AUTHOR_RECENT, [stored], END)
        affinity = EXPECTED.affinity(pair, END)
        # Who never did anything that stood may have no row.
        if not np.allclose(got, affinity, rtol=1e-5, atol=1e-9) and (affinity or stored):
            wrong.append((USER_AUTHOR_RECENT.name, pair[0], got[0].tolist(), [affinity]))
    return wrong


def test_every_row_is_what_the_fold_of_the_log_says(store: redis.Redis) -> None:
    assert differences(store) == []
    assert {kind for kind, _ in EXPECTED.folds} == {TWEET, SHOWING, ACCOUNT}
    for view in (TWEET_ENGAGEMENT, TWEET_SHOWINGS, AUTHOR_ENGAGEMENT):
        assert all(any(name.endswith(f"_{window}") for name in view.columns) for window in WINDOWS)


def test_display_counts_are_those_of_the_fold(store: redis.Redis) -> None:
    for (kind, owner), fold in EXPECTED.folds.items():
        counts = fold.tally()["counts"][0].tolist()
        if kind == TWEET:
            assert decode_tweet_counts(store.get(KEYS.counts(owner))) == TweetCounts(*counts)
        if kind == ACCOUNT:
            assert decode_account_counts(store.get(KEYS.account_counts(owner))) == AccountCounts(*counts[:3])


def test_rows_are_stamped_with_the_newest_event_behind_them(store: redis.Redis) -> None:
    for (kind, owner), fold in EXPECTED.folds.items():
        view = TALLIED[kind]
        _, moments = unpack_rows(view, [store.get(row_key(KEYS, view, [owner]))])
        assert moments[0] >= fold.tally()["version"][0]


def test_a_tweet_nobody_engaged_with_has_no_row(store: redis.Redis) -> None:
    assert store.get(row_key(KEYS, TWEET_ENGAGEMENT, [99])) is None
