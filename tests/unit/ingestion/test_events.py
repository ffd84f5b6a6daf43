"""Events: what is stored must still read, and what is not known must be refused."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from ingestion import events
from ingestion.events import (
    ClockAdvanced,
    FollowChanged,
    Impression,
    LikeChanged,
    MalformedEventError,
    MarkChanged,
    TweetCreated,
    decode,
    encode,
)
from ingestion.topics import EVENT_TOPICS, FOLLOWS, MARKS, SETTINGS, TOPICS, route

FIXTURE = Path(__file__).parents[2] / "fixtures" / "events_v1.jsonl"
STORED = FIXTURE.read_bytes().splitlines()


@pytest.mark.parametrize("line", STORED)
def test_a_stored_event_of_version_1_still_reads_and_is_written_with_the_same_values(line: bytes) -> None:
    event = decode(line)
    again = msgspec.json.decode(encode(event))
    assert msgspec.json.decode(line).items() <= again.items()
    assert decode(encode(event)) == event


def test_the_fixture_holds_every_event_type() -> None:
    stored = {type(decode(line)) for line in STORED}
    assert stored == set(events.Event.__subclasses__())


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"not json", "malformed"),
        (b'{"type":"clock_advanced","event_id":"c","ts":-1}', "not a time"),
        (b'{"type":"clock_advanced","event_id":"c","ts":4503599627370496}', "not a time"),
        (b"\xff\xfe", "malformed"),
        (b'{"type":"poke","event_id":"x","ts":1}', "poke"),
        (b'{"type":"tweet_deleted","event_id":"x","ts":1,"tweet_id":1,"author_id":1,"v":2}', "2"),
        (b'{"type":"tweet_deleted","event_id":"x","ts":1,"tweet_id":1,"author_id":1,"w":1}', "w"),
        (b'{"type":"tweet_deleted","event_id":"x","ts":1,"tweet_id":1}', "author_id"),
        (next(line for line in STORED if b"propensity" in line).replace(b"0.0625", b"1.5"), "propensity"),
        (b'{"type":"tweet_deleted","event_id":"x","ts":"1","tweet_id":1,"author_id":1}', "ts"),
        (b"[]", "object"),
    ],
)
def test_what_is_no_event_of_a_known_type_and_version_is_refused_with_its_reason(
    value: bytes, reason: str
) -> None:
    with pytest.raises(MalformedEventError, match=f"(?i){reason}"):
        decode(value)


def test_the_later_event_of_an_entity_wins_and_the_larger_id_at_the_same_moment() -> None:
    def like(event_id: str, ts: int) -> LikeChanged:
        return LikeChanged(event_id=event_id, ts=ts, user_id=1, tweet_id=2, author_id=3, active=True)

    assert max([like("b", 5), like("a", 6), like("c", 5)], key=lambda event: event.order).event_id == "a"
    assert max([like("b", 5), like("c", 5)], key=lambda event: event.order).event_id == "c"


def test_both_directions_of_an_edge_share_a_key_so_that_compaction_keeps_the_last() -> None:
    made = FollowChanged(event_id="1", ts=1, follower_id=7, followee_id=8, active=True)
    ended = FollowChanged(event_id="2", ts=2, follower_id=7, followee_id=8, active=False)
    assert route(made) == route(ended) == (FOLLOWS, b"8:7")


def test_a_persons_word_has_a_key_of_its_own_so_that_compaction_keeps_it_beside_a_rules() -> None:
    rule = MarkChanged(event_id="1", ts=9, target="tweet", target_id=7, verdict="limit", reason="r")
    lifted = msgspec.structs.replace(rule, verdict="allow", by_person=True)
    assert (route(rule), route(lifted)) == ((MARKS, b"tweet:7"), (MARKS, b"tweet:7:person"))


def test_the_clock_has_no_topic_of_its_own() -> None:
    with pytest.raises(ValueError, match="ClockAdvanced"):
        route(ClockAdvanced(event_id="c", ts=1))


def test_every_event_but_the_clock_goes_to_one_of_the_event_topics_the_marks_or_the_settings() -> None:
    routed = {route(decode(line))[0] for line in STORED if b"clock_advanced" not in line}
    assert routed == {*EVENT_TOPICS, MARKS, SETTINGS}


def test_a_namespace_prefixes_topic_names() -> None:
    assert FOLLOWS.full_name("") == "follows"
    assert FOLLOWS.full_name("cascade") == "cascade.follows"
    assert len({topic.full_name("x") for topic in TOPICS}) == len(TOPICS)


def test_a_missing_text_and_a_missing_feature_stay_missing() -> None:
    tweet = TweetCreated(event_id="t", ts=1, tweet_id=1, author_id=1, text=None)
    assert decode(encode(tweet)).text is None  # type: ignore[union-attr]
    shown = Impression(
        event_id="i",
        ts=1,
        request_id="q",
        user_id=1,
        tweet_id=1,
        author_id=1,
        position=0,
        source="following",
        rung="full",
        features=(None, 0.0),
    )
    assert decode(encode(shown)).features == (None, 0.0)  # type: ignore[union-attr]
