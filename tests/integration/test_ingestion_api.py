"""The write API over a real Valkey and a publisher in memory."""

from __future__ import annotations

import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis.asyncio

from ingestion.api.service import build_service
from ingestion.api.settings import WriteSection
from ingestion.events import (
    AuthorHidden,
    ClientReport,
    LikeChanged,
    RetweetChanged,
    TweetCreated,
    TweetDeleted,
)
from ingestion.rows import rows_of
from records.connections import connect
from records.materialize import Materializer
from serving.reads import Reads
from timelines.bodies import decode_body

pytestmark = pytest.mark.valkey

ANN, BEN = 101, 102
JSON = {"Content-Type": "application/json"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


Api = Any
Scenario = Callable[[Api], Awaitable[None]]


def test_a_posted_tweet_is_on_the_log_and_in_its_authors_feed_when_the_answer_comes(
    run: Callable[..., None],
) -> None:
    async def scenario(api: Api) -> None:
        answer = await api.send("POST", "/v1/tweets", json={"text": "Hello #World, #world & #2026"})
        assert answer.status_code == 201
        assert answer.json() == {
            "id": answer.json()["id"],
            "created_at": "2030-03-17T17:46:40.000Z",
            "fan_out_status": "queued",
        }
        (event,) = api.publisher.events
        assert isinstance(event, TweetCreated)
        assert (event.author_id, event.text, event.hashtags) == (
            ANN,
            "Hello #World, #world & #2026",
            ("World",),
        )
        assert await api.feed(ANN) == [event.tweet_id]

    run(scenario)


def test_the_same_key_and_body_get_the_same_answer_and_one_tweet_for_a_day(run: Callable[..., None]) -> None:
    async def scenario(api: Api) -> None:
        first = await api.send("POST", "/v1/tweets", key="k1", json={"text": "Once"})
        api.now[0] += 23 * 3600 * 1000
        again = await api.send("POST", "/v1/tweets", key="k1", json={"text": "Once"})
        assert (first.status_code, first.content) == (again.status_code, again.content)
        assert again.headers["Idempotency-Replayed"] == "true"
        assert len(api.publisher.events) == 1
        await api.post("Once", user=BEN, key="k1")
        assert len(api.publisher.events) == 2

    run(scenario)


def test_the_same_key_with_another_body_is_refused(run: Callable[..., None]) -> None:
    async def scenario(api: Api) -> None:
        await api.post("Once", key="k1")
        other = await api.send("POST", "/v1/tweets", key="k1", json={"text": "Twice"})
        assert other.status_code == 422
        assert other.json()["errors"][0]["pointer"] == "/header/idempotency-key"
        assert len(api.publisher.events) == 1

    run(scenario)


def test_a_retry_while_the_first_request_runs_is_a_conflict(run: Callable[..., None]) -> None:
    async def scenario(api: Api) -> None:
        await api.service.idempotency.begin(
            ANN,
            "k1",
            b'{"text":"Once","in_reply_to":null,"quote_of":null,"visibility":"public"'
            b',"place":null,"media":[]}',
            1,
            api.now[0],
        )
        answer = await api.send("POST", "/v1/tweets", key="k1", json={"text": "Once"})
        assert (answer.status_code, answer.headers["Retry-After"]) == (409, "1")
        assert api.publisher.events == []

    run(scenario)


def test_what_the_log_does_not_take_is_not_half_done_and_its_retry_is_the_same_tweet(
    run: Callable[..., None],
) -> None:
    async def scenario(api: Api) -> None:
        api.publisher.available = False
        refused = await api.send("POST", "/v1/tweets", key="k1", json={"text": "Once"})
        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) > 0
        assert await api.feed(ANN) == []
        api.publisher.available = True
        api.now[0] += 10
        tweet = await api.post("Once", key="k1")
        assert tweet == await api.post("Once", key="k1")
        assert [event.ts for event in api.publisher.events] == [1_900_000_000_000]

    run(scenario)


def test_the_tweet_after_the_last_allowed_one_says_when_to_come_back(run: Callable[..., None]) -> None:
    async def scenario(api: Api) -> None:
        await api.post("1")
        api.now[0] += 30_000
        await api.post("2", key="k2")
        full = await api.send("POST", "/v1/tweets", json={"text": "3"})
        assert full.status_code == 429
        assert full.headers["Retry-After"] == "70"
        assert full.headers["RateLimit-Limit"] == "2"
        assert (await api.send("POST", "/v1/tweets", key="k2", json={"text": "2"})).status_code == 201
        assert len(api.publisher.events) == 2
        await api.post("of another user", user=BEN)
        api.now[0] += 70_000
        await api.post("3")

    run(scenario, WriteSection(tweets_per_window=2, window_seconds=100))


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "#/text"),
        ({"text": ""}, "#/text"),
        ({"text": "   "}, "#/text"),
        ({"text": "x" * 281}, "#/text"),
        ({"text": 5}, "#/text"),
        ({"text": "x", "colour": "red"}, "#/colour"),
        ({"text": "x", "in_reply_to": 12}, "#/in_reply_to"),
        ({"text": "x", "in_reply_to": "-1"}, "#/in_reply_to"),
        ({"text": "x", "quote_of": "99999999999999999999"}, "#/quote_of"),
        ({"text": "x", "quote_of": "12345"}, "#/quote_of"),
        ({"text": "x", "visibility": "secret"}, "#/visibility"),
        ({"text": "x", "media": ["https://example.org/a.png", "ftp://x"]}, "#/media/1"),
        ([], "#"),
    ],
)
def test_a_malformed_tweet_is_answered_with_the_field_that_is_wrong(
    run: Callable[..., None], body: Any, pointer: str
) -> None:
    async def scenario(api: Api) -> None:
        answer = await api.send("POST", "/v1/tweets", json=body)
        assert answer.status_code == 422
        assert answer.headers["Content-Type"] == "application/problem+json"
        problem = answer.json()
        assert set(problem) == {"type", "title", "status", "detail", "instance", "errors"}
        assert [error["pointer"] for error in problem["errors"]] == [pointer]
        assert api.publisher.events == []

    run(scenario)


def test_280_code_points_fit_whatever_their_bytes(run: Callable[..., None]) -> None:
    async def scenario(api: Api) -> None:
        await api.post("🌊" * 280)

    run(scenario)


def test_errors_of_every_kind_are_problem_documents(run: Callable[..., None]) -> None:
    async def scenario(api: Api) -> None:
        broken = await api.send("POST", "/v1/tweets", content=b"{", headers=JSON)
        unknown = await api.send("GET", "/v1/nothing")
        wrong = await api.send("PATCH", "/v1/tweets")
        path = await api.send("DELETE", "/v1/tweets/abc")
        assert [answer.status_code for answer in (broken, unknown, wrong, path)] == [400, 404, 405, 422]
        assert path.json()["errors"][0]["pointer"] == "/path/tweet_id"
        for answer in (broken, unknown, wrong, path):
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert answer.json()["status"] == answer.status_code

    run(scenario)


def test_without_a_valid_token_nothing_is_written(run: Callable[..., None]) -> None:
    async def scenario(api: Api) -> None:
        for headers in ({}, {"Authorization": "Bearer x.y.z"}, {"Authorization": "Basic YTpi"}):
            answer = await api.http.post("/v1/tweets", json={"text": "Hello"}, headers=headers)
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
            assert answer.json()["title"] == "Unauthorized"
        assert api.publisher.events == []

    run(scenario)


def test_only_its_author_deletes_a_tweet_and_once_is_enough(run: Callable[..., None]) -> None:
    async def scenario(api: Api) -> None:
        tweet = await api.post()
        assert (await api.send("DELETE", f"/v1/tweets/{tweet}", BEN)).status_code == 403
        assert (await api.send("DELETE", f"/v1/tweets/{tweet}")).status_code == 204
        assert (await api.send("DELETE", f"/v1/tweets/{tweet}")).status_code == 204
        assert (await api.send("DELETE", "/v1/tweets/12345")).status_code == 404
        assert [type(event) for event in api.publisher.events] == [TweetCreated, TweetDeleted]
        stored = decode_body(await api.service.redis.get(api.service.keys.tweet(tweet)))
        assert stored is not None
        assert stored.deleted
        assert (await api.send("PUT", f"/v1/tweets/{tweet}/like", BEN)).status_code == 404

    run(scenario)


def test_a_like_names_the_tweets_author_and_can_be_taken_back(run: Callable[..., None]) -> None:
    async def scenario(api: Api) -> None:
        tweet = await api.post()
        for method in ("PUT", "PUT", "DELETE"):
            api.now[0] += 5
            assert (await api.send(method, f"/v1/tweets/{tweet}/like", BEN)).status_code == 204
        likes = [event for event in api.publisher.events if isinstance(event, LikeChanged)]
        assert [(like.user_id, like.author_id, like.active) for like in likes] == [
            (BEN, ANN, True),
            (BEN, ANN, True),
            (BEN, ANN, False),
        ]
        assert len({like.event_id for like in likes}) == 3
        score = await api.service.redis.zscore(api.service.keys.likes(BEN), tweet)
        assert score == 2 * api.now[0]

    run(scenario)


def test_a_retweet_stands_once_in_its_makers_feed_and_goes_when_taken_back(run: Callable[..., None]) -> None:
    async def scenario(api: Api) -> None:
        tweet = await api.post()
        for _ in range(2):
            api.now[0] += 5
            assert (await api.send("PUT", f"/v1/tweets/{tweet}/retweet", BEN)).status_code == 204
        (made,) = (event for event in api.publisher.events if isinstance(event, RetweetChanged))
        assert await api.feed(BEN) == [made.retweet_id]
        for _ in range(2):
            api.now[0] += 5
            assert (await api.send("DELETE", f"/v1/tweets/{tweet}/retweet", BEN)).status_code == 204
        back = api.publisher.events[-1]
        assert isinstance(back, RetweetChanged)
        assert (back.retweet_id, back.active) == (made.retweet_id, False)
        assert len(api.publisher.events) == 3
        assert await api.feed(BEN) == []

    run(scenario)


@pytest.mark.parametrize("step_ms", [0, -3_600_000])
def test_likes_and_retweets_are_taken_back_within_a_millisecond_and_after_the_clock_stepped_back(
    run: Callable[..., None], step_ms: int
) -> None:
    async def scenario(api: Api) -> None:
        tweet = await api.post()
        keys, client = api.service.keys, api.service.redis
        for engagement, key in (("like", keys.likes(BEN)), ("retweet", keys.retweets(BEN))):
            for method, active in (("PUT", 1), ("DELETE", 0), ("PUT", 1), ("DELETE", 0)):
                assert (await api.send(method, f"/v1/tweets/{tweet}/{engagement}", BEN)).status_code == 204
                assert await client.zscore(key, tweet) % 2 == active
                api.now[0] += step_ms
        changes = [event for event in api.publisher.events if isinstance(event, LikeChanged | RetweetChanged)]
        for kind in (LikeChanged, RetweetChanged):
            moments = [event.ts for event in changes if isinstance(event, kind)]
            assert moments == sorted(set(moments))
            assert len(moments) == 4
        assert await api.feed(BEN) == []

    run(scenario)


def test_retweets_made_by_requests_at_once_are_all_taken_back(run: Callable[..., None]) -> None:
    async def scenario(api: Api) -> None:
        tweet = await api.post()
        url = f"/v1/tweets/{tweet}/retweet"
        for _ in range(2):
            # Requests at once all find that there is no retweet yet.
            await api.service.redis.delete(api.service.keys.retweets(BEN))
            assert (await api.send("PUT", url, BEN)).status_code == 204
        api.now[0] += 5
        assert (await api.send("DELETE", url, BEN)).status_code == 204
        retweets = [event for event in api.publisher.events if isinstance(event, RetweetChanged)]
        made = {each.retweet_id for each in retweets if each.active}
        assert len(made) == 2
        assert made == {each.retweet_id for each in retweets if not each.active}
        assert await api.feed(BEN) == []

    run(scenario)


def test_a_retweet_that_the_store_lost_is_taken_back_by_the_records(run: Callable[..., None]) -> None:
    async def scenario(api: Api) -> None:
        tweet = await api.post()
        assert (await api.send("PUT", f"/v1/tweets/{tweet}/retweet", BEN)).status_code == 204
        made = api.publisher.events[-1]
        tables = Materializer(lambda: connect(api.settings.records, api.settings.namespace))
        tables.write(rows_of([made]))
        tables.close()
        keys, client = api.service.keys, api.service.redis
        await client.delete(keys.outbox(BEN), keys.retweets(BEN))
        assert (await api.send("DELETE", f"/v1/tweets/{tweet}/retweet", BEN)).status_code == 204
        back = api.publisher.events[-1]
        assert isinstance(back, RetweetChanged)
        assert (back.retweet_id, back.active) == (made.retweet_id, False)

    run(scenario)


def test_a_client_report_is_taken_whole_or_not_at_all(run: Callable[..., None]) -> None:
    async def scenario(api: Api) -> None:
        item = {"feed_request_id": "q", "tweet_id": "5", "position": 0, "event": "dwell", "ms": 900}
        answer = await api.send("POST", "/v1/impressions", json={"items": [item, item | {"event": "open"}]})
        assert answer.status_code == 202
        reports = [event for event in api.publisher.events if isinstance(event, ClientReport)]
        assert [(event.user_id, event.tweet_id, event.action) for event in reports] == [
            (ANN, 5, "dwell"),
            (ANN, 5, "open"),
        ]
        bad = await api.send("POST", "/v1/impressions", json={"items": [item, item | {"position": -1}]})
        assert bad.json()["errors"][0]["pointer"] == "#/items/1/position"
        many = await api.send("POST", "/v1/impressions", json={"items": [item] * 501})
        assert many.status_code == 422
        assert len(api.publisher.events) == 2

    run(scenario)


def test_hiding_or_reporting_a_tweet_hides_its_author_at_once(run: Callable[..., None]) -> None:
    async def scenario(api: Api) -> None:
        by_ben, by_ann = await api.post("Mine", BEN), await api.post("My own", ANN)
        api.publisher.events.clear()
        item = {"feed_request_id": "q", "tweet_id": str(by_ben), "position": 0}

        async def report(**changes: str) -> None:
            answer = await api.send("POST", "/v1/impressions", json={"items": [item | changes]})
            assert answer.status_code == 202, answer.text

        await report(event="open")
        reads = Reads(api.service.redis, api.service.keys)
        assert await reads.hidden_authors(ANN) == {}
        await report(event="hide")
        assert await reads.hidden_authors(ANN) == {BEN: api.now[0]}
        api.now[0] += 60_000
        await report(event="report")
        assert await reads.hidden_authors(ANN) == {BEN: api.now[0]}
        await report(event="hide", tweet_id=str(by_ann))
        await report(event="hide", tweet_id="5")
        assert await reads.hidden_authors(ANN) == {BEN: api.now[0]}
        hidden = [event for event in api.publisher.events if isinstance(event, AuthorHidden)]
        assert [(event.user_id, event.author_id) for event in hidden] == [(ANN, BEN)] * 2
        said = [event.action for event in api.publisher.events if isinstance(event, ClientReport)]
        assert said == ["open", "hide", "report", "hide", "hide"]

    run(scenario)


def test_the_development_login_signs_in_as_anyone_where_settings_allow_it(run: Callable[..., None]) -> None:
    async def scenario(api: Api) -> None:
        api.now[0] = time.time_ns() // 1_000_000
        answer = await api.http.post("/v1/auth/dev", json={"user_id": str(BEN)})
        assert answer.status_code == 200
        token = answer.json()["access_token"]
        posted = await api.http.post(
            "/v1/tweets", json={"text": "Hi"}, headers={"Authorization": f"Bearer {token}"}
        )
        assert posted.status_code == 201
        assert api.publisher.events[0].author_id == BEN  # type: ignore[attr-defined]

    run(scenario, dev_login=True)


def test_there_is_no_development_login_by_default(run: Callable[..., None]) -> None:
    async def scenario(api: Api) -> None:
        assert (await api.http.post("/v1/auth/dev", json={"user_id": "1"})).status_code == 404

    run(scenario)


def test_without_the_store_a_write_is_refused_before_it_reaches_the_log(run: Callable[..., None]) -> None:
    async def scenario(api: Api) -> None:
        nobody = redis.asyncio.Redis(host="127.0.0.1", port=free_port(), retry=None)
        api.app.state.writes = build_service(
            api.settings, api.publisher, nobody, api.engine, 512, lambda: api.now[0]
        )
        answer = await api.send("POST", "/v1/tweets", key="k", json={"text": "Hello"})
        assert answer.status_code == 503
        assert "Retry-After" in answer.headers
        assert api.publisher.events == []

    run(scenario)
