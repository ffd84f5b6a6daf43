"""A small seeded world written straight into the timeline store: for the feed's benchmark and its tests.

The stream jobs are not involved; the stored forms are those of ``timelines`` and ``features``.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from features.names import VIEWS
from features.rows import encode_rows, load_functions, put_rows
from ingestion.snowflake import snowflake
from timelines import bodies, commands, entry, functions
from timelines.durations import HOUR_MS
from timelines.keys import Keyspace
from timelines.settings import TimelineSettings

TOPICS = ("harbour", "orchard", "ferry", "lighthouse", "regatta", "market", "estuary", "heron")
PHRASES = (
    "The morning at the {topic} was worth getting up for. #{topic}",
    "Has anyone else been to the {topic} lately? It has changed a lot. #{topic}",
    "Three things I learned about the {topic} this week, and one I had to unlearn.",
    "Photos from the {topic} are up. #{topic} #weekend",
    "Unpopular opinion: the {topic} is better in the rain.",
    "New report on the {topic}: numbers are up again, slowly. #{topic} #data",
)
NAMES = ("Ada", "Bao", "Chidi", "Dana", "Elif", "Farid", "Greta", "Hana", "Ines", "Jonas", "Kemal", "Lena")


@dataclass(frozen=True)
class World:
    """``authors`` are followed by every one of ``readers``; ``tweets`` oldest first."""

    readers: Sequence[int]
    authors: Sequence[int]
    tweets: Sequence[int]


def seed(
    client: Any,
    keys: Keyspace,
    settings: TimelineSettings,
    now_ms: int,
    readers: int = 10,
    authors: int = 40,
    tweets: int = 900,
    pulled: int = 2,
    random_seed: int = 7,
    features: bool = True,
) -> World:
    """Writes the world through a synchronous redis-py client; one in ten appearances is a retweet.

    ``pulled`` of the authors are read from their outboxes. The newest tweet is a minute old at ``now_ms``.
    """
    rng = random.Random(random_seed)  # noqa: S311
    functions.load(client)
    load_functions(client)
    reader_ids = [1_000 + i for i in range(readers)]
    author_ids = [10_000 + i for i in range(authors)]
    pushed = author_ids[pulled:]
    pipe = client.pipeline(transaction=False)
    commands.note_beginning(pipe, keys)
    commands.activate(pipe, keys, settings, [*reader_ids, *author_ids])
    commands.mark_pulled(pipe, keys, author_ids[:pulled])
    born = now_ms - 1000 * HOUR_MS
    for place, user in enumerate([*reader_ids, *author_ids]):
        name = f"{NAMES[place % len(NAMES)]} {'Reader' if user in reader_ids else 'Writer'} {user % 1000}"
        card = bodies.AccountCard(user, name.lower().replace(" ", "_"), name, born, "Bremen")
        commands.put_card(pipe, keys, card, born)
        reads = user in reader_ids
        counts = bodies.AccountCounts(0 if reads else readers, authors if reads else 0, 0 if reads else 20)
        commands.set_account_counts(pipe, keys, user, counts, now_ms)
    for reader in reader_ids:
        for author in author_ids:
            commands.set_followee(pipe, keys, reader, author, born, True)
    ids: list[int] = []
    owners: dict[int, int] = {}
    rows: list[tuple[int, int, int, int, int]] = []
    for number in range(tweets):
        at = now_ms - 60_000 - (tweets - number) * 90_000
        appearance = snowflake(at, 1, number % 4096)
        author = rng.choice(author_ids)
        if ids and rng.random() < 0.1:
            original = rng.choice(ids[-200:])
            rows.append((appearance, author, original, owners[original], entry.RETWEET))
            continue
        ids.append(appearance)
        owners[appearance] = author
        rows.append((appearance, author, appearance, author, 0))
        topic = rng.choice(TOPICS)
        text = rng.choice(PHRASES).format(topic=topic)
        tags = tuple(word[1:].rstrip(".") for word in text.split() if word.startswith("#"))
        body = bodies.TweetBody(appearance, author, text, at, "en", "Bremen", hashtags=tags)
        commands.put_body(pipe, keys, body)
        likes = int(rng.paretovariate(1.1)) - 1
        counts_now = bodies.TweetCounts(likes, likes // 4, likes // 6, 0)
        commands.set_tweet_counts(pipe, keys, appearance, counts_now, now_ms)
    pipe.execute()
    entries = entry.entries(rows)
    commands.append_outbox(pipe, keys, settings, entries)
    delivered = entries[np.isin(entries["author"], pushed)]
    for reader in reader_ids:
        commands.deliver(pipe, keys, settings, np.full(len(delivered), reader), delivered)
    trending = [
        bodies.Trend(f"#{topic}", rank, 400 - 30 * rank, 200 - 15 * rank, 1.0 / rank, now_ms - rank * HOUR_MS)
        for rank, topic in enumerate(TOPICS, 1)
    ]
    commands.put_trends(pipe, keys, "world", "1h", bodies.TrendList(now_ms - 60_000, tuple(trending)))
    pipe.execute()
    if features:
        _seed_features(client, keys, reader_ids, author_ids, ids, now_ms, random_seed)
    return World(reader_ids, author_ids, ids)


def _seed_features(
    client: Any,
    keys: Keyspace,
    readers: Sequence[int],
    authors: Sequence[int],
    tweets: Sequence[int],
    now_ms: int,
    random_seed: int,
) -> None:
    rng = np.random.default_rng(random_seed)
    members: dict[tuple[str, ...], list[tuple[int, ...]]] = {
        ("user",): [(user,) for user in readers],
        ("author",): [(author,) for author in authors],
        ("user", "author"): [(user, author) for user in readers for author in authors],
        ("tweet",): [(tweet,) for tweet in tweets],
    }
    for view in VIEWS:
        entities = members[view.entities]
        values = rng.gamma(1.0, 2.0, (len(entities), len(view.columns))).astype(np.float32)
        stamps = np.full(len(entities), now_ms - HOUR_MS, dtype=np.int64)
        pipe = client.pipeline(transaction=False)
        put_rows(pipe, keys, view, entities, encode_rows(view, stamps, values))
        pipe.execute()
