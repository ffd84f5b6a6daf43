from __future__ import annotations

from benchmarks.open_loop import Answers, Timed
from benchmarks.write import unreadable


def answer(status: int, body: bytes = b"{}") -> Timed:
    return Timed(0.0, 0.1, status, body)


def tweet(status: int, tweet_id: int) -> Timed:
    return answer(status, b'{"id":"%d"}' % tweet_id)


def test_a_tweet_that_its_author_reads_at_once_is_readable() -> None:
    assert unreadable(Answers([tweet(201, 1), tweet(201, 2)], [tweet(200, 1), tweet(200, 2)])) == 0


def test_a_tweet_that_is_not_found_upon_its_acknowledgement_is_unreadable() -> None:
    assert unreadable(Answers([tweet(201, 1), tweet(201, 2)], [answer(404), tweet(200, 2)])) == 1


def test_another_tweet_in_its_place_does_not_make_it_readable() -> None:
    assert unreadable(Answers([tweet(201, 1)], [tweet(200, 2)])) == 1


def test_a_tweet_that_was_refused_need_not_be_readable() -> None:
    assert unreadable(Answers([answer(503), tweet(201, 2)], [tweet(200, 2)])) == 0
