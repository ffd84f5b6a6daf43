from __future__ import annotations

import itertools

from ingestion.events import (
    AnyEvent,
    BlockChanged,
    FollowChanged,
    MuteChanged,
    MutedWordsChanged,
    RetweetChanged,
    TweetCreated,
    TweetDeleted,
)
from stack.verify.fold import FeedFold, Item

READER, AUTHOR, OTHER = 1, 2, 3
_numbers = itertools.count()


def follow(
    followee: int, active: bool = True, ts: int = 1, event_id: str = "", reader: int = READER
) -> AnyEvent:
    name = event_id or f"f{next(_numbers)}"
    return FollowChanged(event_id=name, ts=ts, follower_id=reader, followee_id=followee, active=active)


def tweet(number: int, author: int) -> AnyEvent:
    return TweetCreated(event_id=f"t{number}", ts=number, tweet_id=number, author_id=author, text="x")


def deletion(number: int) -> AnyEvent:
    return TweetDeleted(event_id=f"d{number}", ts=number, tweet_id=number, author_id=AUTHOR)


def retweet(number: int, user: int, original: int, active: bool = True) -> AnyEvent:
    return RetweetChanged(
        event_id=f"r{number}{active}",
        ts=number,
        retweet_id=number,
        user_id=user,
        tweet_id=original,
        author_id=9,
        active=active,
    )


def feed(*events: AnyEvent, length: int = 800) -> list[Item]:
    fold = FeedFold()
    fold.apply_all(events)
    return fold.feed(READER, length)


def test_a_feed_holds_what_followees_and_the_reader_posted_newest_first() -> None:
    found = feed(tweet(10, AUTHOR), tweet(12, READER), tweet(11, OTHER), follow(AUTHOR))
    assert found == [Item(12, ()), Item(10, ())]


def test_the_last_change_of_an_edge_wins_in_any_order() -> None:
    changes = [follow(AUTHOR, ts=1), follow(AUTHOR, False, ts=2)]
    for order in itertools.permutations(changes):
        assert feed(*order, tweet(10, AUTHOR)) == []


def test_changes_of_one_millisecond_are_ordered_by_event_id() -> None:
    changes = [follow(AUTHOR, True, 5, "a"), follow(AUTHOR, False, 5, "b")]
    for order in itertools.permutations(changes):
        assert feed(*order, tweet(10, AUTHOR)) == []


def test_an_original_stands_once_at_its_newest_appearance() -> None:
    found = feed(
        follow(AUTHOR),
        follow(OTHER),
        tweet(10, AUTHOR),
        tweet(11, AUTHOR),
        retweet(12, OTHER, 10),
        retweet(13, READER, 10),
    )
    assert found == [Item(10, (READER, OTHER)), Item(11, ())]


def test_what_is_deleted_or_taken_back_keeps_its_place_among_the_newest() -> None:
    events = [follow(AUTHOR), *(tweet(number, AUTHOR) for number in (10, 11, 12, 13))]
    assert feed(*events, deletion(12), length=3) == [Item(13, ()), Item(11, ())]
    assert feed(*events, retweet(14, AUTHOR, 10), retweet(14, AUTHOR, 10, False), length=3) == [
        Item(13, ()),
        Item(12, ()),
    ]


def test_a_retweet_of_what_was_never_posted_is_not_shown() -> None:
    assert feed(follow(AUTHOR), retweet(14, AUTHOR, 10)) == []


def test_order_and_repetition_of_events_do_not_matter() -> None:
    events = [follow(AUTHOR), tweet(10, AUTHOR), retweet(12, READER, 10), deletion(11), tweet(11, AUTHOR)]
    for order in itertools.permutations(events):
        assert feed(*order, *order) == [Item(10, (READER,))]


def test_authors_are_counted_by_their_followers_of_now() -> None:
    fold = FeedFold()
    fold.apply_all([follow(AUTHOR, reader=reader) for reader in (4, 5, 6)])
    fold.apply(follow(AUTHOR, False, ts=2, reader=6))
    assert [fold.authors_with_followers(least) for least in (1, 2, 3)] == [1, 1, 0]
    assert fold.viewers == [4, 5, 6]


def mute(muted: int, active: bool = True, ts: int = 1) -> AnyEvent:
    return MuteChanged(event_id=f"m{ts}", ts=ts, user_id=READER, muted_id=muted, active=active)


def block(user: int, blocked: int, active: bool = True, ts: int = 1) -> AnyEvent:
    return BlockChanged(event_id=f"b{ts}", ts=ts, user_id=user, blocked_id=blocked, active=active)


def test_mutes_and_blocks_hide_tweets_and_retweets_in_any_order_of_events() -> None:
    world = [follow(AUTHOR), follow(OTHER), tweet(10, AUTHOR), tweet(11, OTHER)]
    world += [retweet(12, OTHER, 10), retweet(13, AUTHOR, 11)]
    hidden = [Item(11, ())]
    assert feed(*world, mute(AUTHOR)) == hidden
    assert feed(block(READER, AUTHOR), *world) == hidden
    assert feed(block(AUTHOR, READER), *world) == hidden
    assert feed(block(OTHER, AUTHOR), *world) == feed(*world)
    for order in itertools.permutations([mute(AUTHOR, ts=1), mute(AUTHOR, False, ts=2)]):
        assert feed(*order, *world) == feed(*world)


def test_the_last_muted_words_hide_others_tweets_only() -> None:
    world = [follow(AUTHOR), tweet(10, AUTHOR), tweet(11, READER)]
    words = [
        MutedWordsChanged(event_id=f"w{ts}", ts=ts, user_id=READER, words=kept)
        for ts, kept in ((1, ("x",)), (2, ("y",)))
    ]
    assert feed(*world, words[0]) == [Item(11, ())]
    for order in itertools.permutations(words):
        assert feed(*order, *world) == [Item(11, ()), Item(10, ())]


def test_of_a_tweet_that_is_only_known_nothing_is_shown_but_its_retweets_are() -> None:
    fold = FeedFold()
    fold.know(tweet(10, AUTHOR))
    fold.know(tweet(11, AUTHOR))
    fold.apply_all([follow(AUTHOR), follow(OTHER), retweet(20, OTHER, 10)])
    assert fold.feed(READER, 10) == [Item(10, (OTHER,))]


def test_a_deletion_that_is_only_known_hides_a_tweet() -> None:
    fold = FeedFold()
    fold.know(deletion(10))
    fold.apply_all([follow(AUTHOR), tweet(10, AUTHOR)])
    assert fold.feed(READER, 10) == []
