"""Follows, mutes, blocks and muted words over HTTP, on a real PostgreSQL and a real Valkey."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ingestion.api.service import build_service
from ingestion.api.settings import WriteSection
from ingestion.events import AccountRegistered, BlockChanged, FollowChanged, MuteChanged, MutedWordsChanged
from ingestion.rows import rows_of
from records.connections import connect, open_engine
from records.materialize import Materializer
from records.settings import RecordsSettings
from timelines.bodies import decode_words

pytestmark = [pytest.mark.valkey, pytest.mark.postgres]

ANN, BEN = 101, 102
Api = Any
Scenario = Callable[[Api], Awaitable[None]]


def test_a_follow_shows_the_followees_tweets_at_once_and_an_unfollow_hides_them(
    run: Callable[..., None],
) -> None:
    async def scenario(api: Api) -> None:
        tweet = await api.post()
        for _ in range(2):
            api.now[0] += 5
            assert (await api.send("PUT", f"/v1/users/{ANN}/follow", BEN)).status_code == 204
        assert await api.feed(BEN) == [tweet]
        api.now[0] += 5
        assert (await api.send("DELETE", f"/v1/users/{ANN}/follow", BEN)).status_code == 204
        assert await api.feed(BEN) == []
        assert [(type(event), event.active) for event in api.outbox()] == [
            (FollowChanged, True),
            (FollowChanged, False),
        ]
        assert (await api.send("PUT", f"/v1/users/{BEN}/follow", BEN)).status_code == 422
        assert (await api.send("PUT", "/v1/users/999/follow", BEN)).status_code == 404

    run(scenario)


def test_follows_beyond_the_limit_are_a_conflict(run: Callable[..., None]) -> None:
    async def scenario(api: Api) -> None:
        await api.register(*range(1, 5))
        answers = [await api.send("PUT", f"/v1/users/{user}/follow") for user in range(1, 4)]
        assert [answer.status_code for answer in answers] == [204, 204, 409]
        api.now[0] += 5
        await api.send("DELETE", "/v1/users/1/follow")
        assert (await api.send("PUT", "/v1/users/4/follow")).status_code == 204

    run(scenario, WriteSection(follows=2))


def test_a_mute_is_in_the_readers_set_and_in_the_outbox_once(run: Callable[..., None]) -> None:
    async def scenario(api: Api) -> None:
        for method in ("PUT", "PUT", "DELETE", "DELETE"):
            api.now[0] += 5
            assert (await api.send(method, f"/v1/users/{ANN}/mute", BEN)).status_code == 204
        assert [(type(event), event.active) for event in api.outbox()] == [
            (MuteChanged, True),
            (MuteChanged, False),
        ]
        score = await api.service.redis.zscore(api.service.keys.muted(BEN), ANN)
        assert score == api.outbox()[-1].ts * 2
        assert (await api.send("PUT", f"/v1/users/{BEN}/mute", BEN)).status_code == 422
        assert (await api.send("PUT", "/v1/users/999/mute", BEN)).status_code == 404

    run(scenario)


def test_a_block_is_in_both_sets_ends_follows_both_ways_and_refuses_new_ones(
    run: Callable[..., None],
) -> None:
    async def scenario(api: Api) -> None:
        tweet = await api.post(user=ANN)
        await api.send("PUT", f"/v1/users/{ANN}/follow", BEN)
        await api.send("PUT", f"/v1/users/{BEN}/follow", ANN)
        assert await api.feed(BEN) == [tweet]
        api.now[0] += 5
        assert (await api.send("PUT", f"/v1/users/{BEN}/block", ANN)).status_code == 204
        assert await api.feed(BEN) == []
        redis, keys = api.service.redis, api.service.keys
        assert int(await redis.zscore(keys.blocked(ANN), BEN)) & 1
        assert int(await redis.zscore(keys.blocked_by(BEN), ANN)) & 1
        for user, other in ((ANN, BEN), (BEN, ANN)):
            assert (await api.send("PUT", f"/v1/users/{other}/follow", user)).status_code == 403
        for action in ("like", "retweet"):
            assert (await api.send("PUT", f"/v1/tweets/{tweet}/{action}", BEN)).status_code == 404
        reply = {"text": "Hello", "in_reply_to": str(tweet)}
        assert (await api.send("POST", "/v1/tweets", BEN, json=reply)).status_code == 422
        api.now[0] += 5
        assert (await api.send("DELETE", f"/v1/users/{BEN}/block", ANN)).status_code == 204
        assert (await api.send("PUT", f"/v1/users/{ANN}/follow", BEN)).status_code == 204
        assert await api.feed(BEN) == [tweet]
        assert [type(event) for event in api.outbox()][2:] == [
            BlockChanged,
            FollowChanged,
            FollowChanged,
            BlockChanged,
            FollowChanged,
        ]

    run(scenario)


def test_muted_words_are_replaced_as_a_whole_and_read_back(run: Callable[..., None]) -> None:
    async def scenario(api: Api) -> None:
        path = "/v1/users/me/muted-words"
        assert (await api.send("GET", path)).json() == {"words": []}
        for words in (["rain", " #WorldCup ", "rain"], ["sun"]):
            api.now[0] += 5
            assert (await api.send("PUT", path, json={"words": words})).status_code == 204
            answer = (await api.send("GET", path)).json()["words"]
            assert answer == list(dict.fromkeys(word.strip() for word in words))
        stored = await api.service.redis.get(api.service.keys.muted_words(ANN))
        assert decode_words(stored) == ("sun",)
        assert [event.words for event in api.outbox() if isinstance(event, MutedWordsChanged)] == [
            ("rain", "#WorldCup"),
            ("sun",),
        ]
        for words in ([""], ["  "], ["a\0b"], ["x" * 101], ["x"] * 201, "rain"):
            assert (await api.send("PUT", path, json={"words": words})).status_code == 422

    run(scenario)


def test_what_the_store_has_lost_can_still_be_followed_liked_and_deleted(run: Callable[..., None]) -> None:
    async def scenario(api: Api) -> None:
        tweet = await api.post(user=ANN)
        account = AccountRegistered(
            event_id="a", ts=1, user_id=ANN, handle="ann", display_name="Ann", created_at=1
        )
        tables = Materializer(lambda: connect(api.settings.records, api.settings.namespace))
        tables.write(rows_of([account, *api.publisher.events]))
        tables.close()
        await api.service.redis.delete(api.service.keys.account(ANN), api.service.keys.tweet(tweet))
        assert (await api.send("PUT", f"/v1/users/{ANN}/follow", BEN)).status_code == 204
        assert (await api.send("PUT", f"/v1/tweets/{tweet}/like", BEN)).status_code == 204
        assert (await api.send("DELETE", f"/v1/tweets/{tweet}", BEN)).status_code == 403
        assert (await api.send("DELETE", f"/v1/tweets/{tweet}", ANN)).status_code == 204
        assert (await api.send("PUT", "/v1/tweets/12345/like", BEN)).status_code == 404

    run(scenario)


def test_without_postgresql_relations_are_refused_and_tweets_are_not(run: Callable[..., None]) -> None:
    async def scenario(api: Api) -> None:
        nowhere = open_engine(RecordsSettings(dsn="postgresql://x@127.0.0.1:1/x"), "")
        api.app.state.writes = build_service(
            api.settings, api.publisher, api.service.redis, nowhere, 512, lambda: api.now[0]
        )
        refused = await api.send("PUT", f"/v1/users/{ANN}/follow", BEN)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
        assert await api.feed(BEN) == []
        await api.post(user=BEN)

    run(scenario)
