"""The rules by which rows of ``retweet_cascade`` become acts."""

from __future__ import annotations

from ingestion.datasets.cascade_acts import Act, Cascade, Row, resolve
from ingestion.snowflake import snowflake, time_of

ANN, BEN, CAT, DAN = 11, 12, 13, 14
T = 1_341_100_000


def of(*rows: Row, seen: dict[tuple[int, int, int], int] | None = None) -> Cascade:
    return resolve(list(rows), seen or {})


def act(cascade: Cascade, user: int, second: int) -> Act:
    return next(act for act in cascade.acts if act.user == user and act.ts == second * 1000)


def test_rows_of_one_user_and_second_are_one_act() -> None:
    cascade = of((ANN, BEN, T, "RT"), (ANN, CAT, T, "MT"), (ANN, BEN, T, "RE"), (CAT, BEN, T, "MT"))
    assert [(one.user, one.kind) for one in cascade.acts] == [(ANN, "retweet"), (CAT, "tweet")]


def test_a_retweet_is_of_the_targets_newest_original_strictly_before_it() -> None:
    cascade = of(
        (BEN, CAT, T, "MT"), (BEN, CAT, T + 5, "RE"), (BEN, CAT, T + 9, "MT"), (ANN, BEN, T + 9, "RT")
    )
    assert act(cascade, ANN, T + 9).original == act(cascade, BEN, T + 5).act_id
    assert cascade.implied == ()


def test_a_retweet_without_a_known_original_implies_one_a_millisecond_before_it() -> None:
    cascade = of((ANN, BEN, T, "RT"), (CAT, BEN, T + 3, "RT"))
    (implied,) = cascade.implied
    assert (implied.author, implied.ts) == (BEN, T * 1000 - 1)
    assert time_of(implied.tweet_id) == implied.ts
    assert act(cascade, ANN, T).original == act(cascade, CAT, T + 3).original == implied.tweet_id


def test_a_retweet_of_somebody_who_only_retweeted_is_not_of_that_retweet() -> None:
    cascade = of((BEN, CAT, T, "RT"), (ANN, BEN, T + 1, "RT"))
    assert [tweet.author for tweet in cascade.implied] == [CAT, BEN]


def test_nobody_retweets_the_same_tweet_twice_so_a_second_retweet_implies_another_original() -> None:
    cascade = of((ANN, BEN, T, "RT"), (ANN, BEN, T + 60, "RT"))
    first, second = (one.original for one in cascade.acts)
    assert first != second
    assert [tweet.ts for tweet in cascade.implied] == [T * 1000 - 1, (T + 60) * 1000 - 1]


def test_a_second_retweet_takes_an_older_original_that_the_user_has_not_retweeted_yet() -> None:
    cascade = of(
        (BEN, CAT, T, "MT"), (BEN, CAT, T + 1, "MT"), (ANN, BEN, T + 2, "RT"), (ANN, BEN, T + 3, "RT")
    )
    assert act(cascade, ANN, T + 2).original == act(cascade, BEN, T + 1).act_id
    assert act(cascade, ANN, T + 3).original == act(cascade, BEN, T).act_id


def test_an_original_implied_by_an_answer_to_a_list_existed_when_the_list_saw_its_author() -> None:
    cascade = of((ANN, BEN, T, "RT"), seen={(ANN, T, BEN): T - 100})
    assert [tweet.ts for tweet in cascade.implied] == [(T - 100) * 1000]


def test_a_reply_refers_to_the_targets_newest_original_and_mentions_the_target() -> None:
    cascade = of((BEN, CAT, T, "MT"), (ANN, BEN, T + 1, "RE"), (ANN, DAN, T + 1, "MT"))
    reply = act(cascade, ANN, T + 1)
    assert (reply.kind, reply.original, reply.mentions) == ("reply", act(cascade, BEN, T).act_id, (BEN, DAN))


def test_a_reply_to_somebody_without_a_known_original_only_mentions_them() -> None:
    reply = of((ANN, BEN, T, "RE")).acts[0]
    assert (reply.kind, reply.original, reply.mentions) == ("reply", None, (BEN,))


def test_acts_of_the_same_second_have_different_ids_of_that_second() -> None:
    cascade = of(*((user, BEN, T, "MT") for user in range(1, 60)))
    ids = [one.act_id for one in cascade.acts]
    assert len(set(ids)) == 59
    assert {time_of(one) for one in ids} == {T * 1000}
    assert ids == sorted(ids)
    assert ids[0] == snowflake(T * 1000, 1, 0)


def test_the_order_of_the_rows_does_not_matter() -> None:
    rows: list[Row] = [
        (ANN, BEN, T, "RT"),
        (ANN, CAT, T, "MT"),
        (BEN, CAT, T - 5, "RE"),
        (CAT, BEN, T, "RT"),
        (DAN, ANN, T + 1, "RE"),
    ]
    assert resolve(rows, {}) == resolve(rows[::-1], {})
