"""Mutes, blocks and muted words act at the next read, on every kind of page."""

from __future__ import annotations

from typing import Any

from timelines import commands
from timelines.bodies import TweetBody

READER, ANN, BEN, CAT = 1, 7, 8, 9


def shown(world: Any) -> list[int]:
    return world.page(limit=10).items.original.tolist()


def test_a_muted_accounts_tweets_and_retweets_are_hidden_until_the_mute_is_taken_back(world: Any) -> None:
    world.follow(ANN, BEN)
    world.tweet(10, ANN)
    world.tweet(20, BEN)
    world.retweet(30, by=ANN, tweet_id=20, author=BEN)
    world.retweet(40, by=BEN, tweet_id=10, author=ANN)
    world.write(commands.set_muted, READER, ANN, 5, True)
    answer = world.page()
    assert list(zip(answer.items.original.tolist(), answer.items.appearance.tolist(), strict=True)) == [
        (20, 20)
    ]
    assert answer.items.retweeters[0] == ()
    assert answer.removed["muted_or_blocked"] == 3
    world.write(commands.set_muted, READER, ANN, 6, False)
    assert shown(world) == [10, 20]


def test_a_block_hides_in_both_directions(world: Any) -> None:
    world.follow(ANN, BEN)
    world.tweet(10, ANN)
    world.tweet(20, BEN)
    world.write(commands.set_blocked, READER, ANN, 5, True)
    assert shown(world) == [20]
    world.write(commands.set_blocked, BEN, READER, 5, True)
    assert shown(world) == []
    world.write(commands.set_blocked, BEN, READER, 6, False)
    assert shown(world) == [20]


def test_a_muted_word_hides_others_tweets_and_the_page_is_filled_from_what_follows(world: Any) -> None:
    world.follow(ANN)
    for tweet_id in range(10, 20):
        word = "Rain" if tweet_id % 2 else "sun"
        world.tweet(tweet_id, ANN, body=False)
        world.write(commands.put_body, TweetBody(tweet_id, ANN, f"All {word}!", 1))
    world.tweet(30, READER, body=False)
    world.write(commands.put_body, TweetBody(30, READER, "my rain", 1))
    world.write(commands.put_muted_words, READER, ["rain"], 5)
    assert world.scroll(limit=2) == [30, 18, 16, 14, 12, 10]
    world.write(commands.put_muted_words, READER, [], 6)
    assert len(world.scroll(limit=2)) == 11


def test_how_many_are_new_leaves_out_what_the_reader_keeps_out(world: Any) -> None:
    import asyncio

    world.follow(ANN, BEN)
    for tweet_id, author in ((10, ANN), (20, BEN), (30, ANN)):
        world.tweet(tweet_id, author)
    world.write(commands.set_muted, READER, ANN, 5, True)
    count, items = asyncio.run(world.feed.delta(READER, 5, 10))
    assert (count, items.original.tolist()) == (1, [20])
