"""The ranking API over HTTP, on a real Valkey with a small seeded world and a real model bundle."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis
from fastapi.testclient import TestClient
from pydantic import TypeAdapter

from benchmarks.feed_model import write_model
from benchmarks.feed_world import World, seed
from features.names import MODEL_INPUT
from ingestion.settings import SecuritySettings
from ingestion.signatures import authorization
from ingestion.tokens import mint
from serving.app import create_app
from serving.model_store import LAST_GOOD_FILE
from serving.settings import ServingSection, ServingSettings
from serving.shapes import FeedDelta, FeedPage, RankAnswer, Readiness, Trends, Tweet, User, WhyNot
from timelines import commands
from timelines.bodies import tombstone
from timelines.keys import Keyspace
from timelines.settings import RedisSettings
from training.formula import FLOOR, FORMULA_VERSION, combine
from training.settings import MlflowSettings

pytestmark = pytest.mark.valkey

NOWHERE = "http://127.0.0.1:1"
NAMESPACE = "serving-http"
MAILER_KEY = bytes(range(64, 96))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundles") / "tideline-ranker-1"
    write_model(path, trees=20, leaves=7)
    return path


@pytest.fixture(scope="module")
def world(valkey: str) -> World:
    client = redis.Redis.from_url(valkey)
    settings = ServingSettings(namespace=NAMESPACE)
    for key in client.scan_iter(f"{NAMESPACE}:*"):  # another module's world
        client.delete(key)
    return seed(
        client,
        Keyspace(NAMESPACE, settings.redis.partitions),
        settings.timelines,
        now_ms=time.time_ns() // 1_000_000,
        readers=3,
        authors=12,
        tweets=150,
    )


def settings_of(home: Path, url: str, dev_login: bool = False) -> ServingSettings:
    (home / "mailer.key").write_bytes(MAILER_KEY + b"\n")
    return ServingSettings(
        home=home,
        namespace=NAMESPACE,
        redis=RedisSettings(url=url),
        mlflow=MlflowSettings(tracking_uri=NOWHERE),
        security=SecuritySettings(
            private_key=home / "token.pem",
            public_key=home / "token.pub.pem",
            dev_login=dev_login,
            service_keys={"mailer": home / "mailer.key"},
        ),
        serving=ServingSection(cursor_key=home / "cursor.key", deadline_ms=60_000),
    )


class Reader:
    """A signed-in client; ``app`` is the running app."""

    def __init__(self, client: TestClient, settings: ServingSettings, user: int) -> None:
        self._client = client
        self.app: Any = client.app
        self._settings, self._user = settings, user
        token = mint(settings.security, user, int(time.time()))
        self._headers = {"Authorization": f"Bearer {token}"}

    def get(self, path: str, **params: Any) -> Any:
        return self._client.get(path, params=params, headers=self._headers)

    def another(self, user: int) -> Reader:
        """The same service, signed in as somebody else."""
        return Reader(self._client, self._settings, user)

    def why_not(self, tweet: int) -> Any:
        """What an operator is told of a tweet in this reader's feed."""
        token = mint(self._settings.security, 1, int(time.time()), roles=["admin"])
        headers = {"Authorization": f"Bearer {token}"}
        params = {"user": self._user, "tweet": tweet}
        return self._client.get("/v1/admin/explain", params=params, headers=headers)

    def post(self, path: str, content: bytes, headers: dict[str, str]) -> Any:
        """As somebody else, whom the headers name."""
        return self._client.post(path, content=content, headers=headers)

    def scroll(self, **params: Any) -> list[str]:
        page = self.get("/v1/feed", **params).json()
        ids = [item["tweet"]["id"] for item in page["items"]]
        while page["has_more"]:
            page = self.get("/v1/feed", **params, cursor=page["next_cursor"]).json()
            ids += [item["tweet"]["id"] for item in page["items"]]
        return ids


@pytest.fixture(scope="module")
def reader(
    valkey: str, world: World, bundle: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Reader]:
    """The service with a last-good model and no registry, signed in as the first reader."""
    home = tmp_path_factory.mktemp("home")
    folder = home / "serving" / "model" / NAMESPACE
    folder.mkdir(parents=True)
    shutil.copytree(bundle, folder / bundle.name)
    (folder / LAST_GOOD_FILE).write_text(f"{bundle.name}\ntideline-ranker@1\n")
    settings = settings_of(home, valkey)
    with TestClient(create_app(settings)) as client:
        until_model_loads(client)
        yield Reader(client, settings, world.readers[0])


def until_model_loads(client: TestClient) -> None:
    deadline = time.monotonic() + 60
    while client.get("/readyz").json()["model"] is None:
        assert time.monotonic() < deadline, client.get("/readyz").text


def valid(shape: Any, response: Any) -> Any:
    """The answer, checked against its documented shape."""
    assert response.status_code == 200, response.text
    return TypeAdapter(shape).validate_json(response.content, strict=True)


def problem(response: Any, status: int) -> Any:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == status
    return response.json()


def test_the_last_good_model_ranks_although_the_registry_is_away(reader: Reader) -> None:
    page = valid(FeedPage, reader.get("/v1/feed", limit=10))
    assert page["ranking"]["rung"] == "full"
    assert page["ranking"]["model"] == "tideline-ranker@1"
    assert len(page["items"]) == 10
    assert all(item["score"] > 0 for item in page["items"])


def test_the_ranked_feed_scrolls_through_every_tweet_of_the_chronological_one_once(reader: Reader) -> None:
    ranked = reader.scroll(algorithm="ranked", limit=30)
    chronological = reader.scroll(algorithm="chronological", limit=7)
    assert len(set(ranked)) == len(ranked)
    assert sorted(ranked) == sorted(chronological)
    assert ranked != chronological


def test_the_chronological_feed_is_newest_first_and_marks_what_was_pulled(reader: Reader) -> None:
    page = valid(FeedPage, reader.get("/v1/feed", algorithm="chronological", limit=100))
    appearances = [int(item["appearance_id"]) for item in page["items"]]
    assert appearances == sorted(appearances, reverse=True)
    assert {item["source"] for item in page["items"]} == {"following", "celebrity"}
    assert page["ranking"] | {"ms": 0} == {
        "rung": "chronological",
        "reason": "requested",
        "model": None,
        "candidates": 150,
        "ms": 0,
    }


def test_scores_and_order_can_be_rebuilt_from_the_explanation_alone(reader: Reader) -> None:
    page = valid(FeedPage, reader.get("/v1/feed", limit=100, explain="true"))
    assert page["explanation"]["formula"] == FORMULA_VERSION
    rebuilt = []
    for item in page["items"]:
        explained = item["explanation"]
        total = sum(head["probability"] * head["weight"] for head in explained["heads"].values())
        assert total > 0  # the formula's other branch is for net-negative sums
        assert explained["model_score"] == pytest.approx(total + FLOOR)
        score = explained["model_score"] * math.prod(explained["multipliers"].values())
        assert item["score"] == pytest.approx(score)
        if explained["propensity"] > 0.5:  # not the one that an exploring page drew from below
            rebuilt.append((score, int(item["appearance_id"]), item["source"]))
    assert {source for _, _, source in rebuilt} <= {"following", "celebrity"}
    assert rebuilt == sorted(rebuilt, reverse=True)
    assert page["explanation"]["policy"] == "default-1"


def test_an_explanation_names_features_places_and_what_the_filters_removed(reader: Reader) -> None:
    page = valid(FeedPage, reader.get("/v1/feed", limit=5, explain="true"))
    for item in page["items"]:
        assert {feature["name"] for feature in item["explanation"]["features"]} <= set(MODEL_INPUT)
    assert page["explanation"]["removed"]["duplicates"] > 0
    stages = [stage["stage"] for stage in page["explanation"]["stages"]]
    assert {"home_timeline", "restrictions", "lately", "features", "heads", "multipliers"} <= set(stages)


def test_an_operator_is_told_what_became_of_a_tweet(reader: Reader, world: World) -> None:
    reader = reader.another(world.readers[1])
    page = reader.get("/v1/feed", limit=20).json()
    shown = int(page["items"][0]["tweet"]["id"])
    served = valid(WhyNot, reader.why_not(shown))
    assert (served["outcome"], served["stage"]) == ("removed", "served")
    assert served["sources"] in (["following"], ["celebrity"])
    assert served["ranking"]["rung"] == "full"
    assert valid(WhyNot, reader.why_not(1))["outcome"] == "no_candidate"
    fresh = [valid(WhyNot, reader.why_not(tweet)) for tweet in world.tweets[-25:]]
    ranked = [found for found in fresh if found["outcome"] in ("shown", "below_the_page")]
    assert ranked
    for found in ranked:
        assert (found["position"] < 20) == (found["outcome"] == "shown")
        assert found["score"] > 0


def test_only_operators_ask_for_explanations_of_others(reader: Reader) -> None:
    problem(reader.get("/v1/admin/explain", user=1, tweet=2), 403)


def test_what_was_served_is_not_served_again_at_once(reader: Reader, world: World) -> None:
    reader = reader.another(world.readers[2])
    first = [item["tweet"]["id"] for item in reader.get("/v1/feed", limit=20).json()["items"]]
    second = [item["tweet"]["id"] for item in reader.get("/v1/feed", limit=20).json()["items"]]
    assert not set(first) & set(second)


def test_the_stages_milliseconds_are_in_the_server_timing_header(reader: Reader) -> None:
    timing = reader.get("/v1/feed").headers["server-timing"]
    stages = [part.split(";")[0] for part in timing.split(", ")]
    assert sorted(stages[:3]) == ["home_timeline", "lately", "restrictions"]
    assert sorted(stages[3:8]) == ["following", "popular", "similar", "trending", "two_hop"]
    assert stages[8:10] == ["muted_or_blocked", "duplicates"]


def test_delta_tells_what_is_newer_than_the_newest_seen(reader: Reader) -> None:
    newest = reader.get("/v1/feed", algorithm="chronological", limit=4).json()["items"]
    delta = valid(FeedDelta, reader.get("/v1/feed/delta", since=newest[3]["appearance_id"]))
    assert delta["count"] == 3
    assert [item["tweet"]["id"] for item in delta["items"]] == [i["tweet"]["id"] for i in newest[:3]]


def test_a_tweet_a_user_and_the_trends_have_their_documented_shapes(reader: Reader, world: World) -> None:
    tweet = valid(Tweet, reader.get(f"/v1/tweets/{world.tweets[-1]}"))
    user = valid(User, reader.get(f"/v1/users/{tweet['author']['id']}"))
    assert user == tweet["author"]
    assert user["viewer"]["follows"] is True
    trends = valid(Trends, reader.get("/v1/trends", limit=3))
    assert [trend["rank"] for trend in trends["items"]] == [1, 2, 3]


def test_a_deleted_tweet_is_gone_from_the_next_read(reader: Reader, world: World, valkey: str) -> None:
    tweet = reader.get("/v1/feed", limit=1).json()["items"][0]["tweet"]
    pipe = redis.Redis.from_url(valkey).pipeline(transaction=False)
    keys = Keyspace(NAMESPACE, ServingSettings().redis.partitions)
    commands.put_body(pipe, keys, tombstone(int(tweet["id"]), int(tweet["author"]["id"])))
    pipe.execute()
    problem(reader.get(f"/v1/tweets/{tweet['id']}"), 404)
    for algorithm in ("ranked", "chronological"):
        assert tweet["id"] not in reader.scroll(algorithm=algorithm, limit=50)


@pytest.mark.parametrize(
    ("path", "params", "status", "pointer"),
    [
        ("/v1/feed", {"limit": 0}, 422, "/query/limit"),
        ("/v1/feed", {"limit": 101}, 422, "/query/limit"),
        ("/v1/feed", {"algorithm": "random"}, 422, "/query/algorithm"),
        ("/v1/feed", {"cursor": "AAAA"}, 400, "/query/cursor"),
        ("/v1/feed/delta", {}, 422, "/query/since"),
        ("/v1/feed/delta", {"since": "-1"}, 422, "/query/since"),
        ("/v1/tweets/x", {}, 422, "/path/tweet_id"),
        ("/v1/tweets/99999999999999999999", {}, 422, "/path/tweet_id"),
        ("/v1/users/99999999999999999999", {}, 422, "/path/user_id"),
        ("/v1/trends", {"window": "2h"}, 422, "/query/window"),
    ],
)
def test_a_malformed_request_is_answered_with_a_pointer_to_the_field(
    reader: Reader, path: str, params: dict[str, str], status: int, pointer: str
) -> None:
    found = problem(reader.get(path, **params), status)
    assert [error["pointer"] for error in found["errors"]] == [pointer]


@pytest.mark.parametrize("path", ["/v1/tweets/77", "/v1/users/77"])
def test_what_is_not_there_is_a_404(reader: Reader, path: str) -> None:
    problem(reader.get(path), 404)


def test_a_cursor_of_another_reader_is_refused(reader: Reader, world: World) -> None:
    cursor = reader.get("/v1/feed", limit=1).json()["next_cursor"]
    settings = reader.app.state.token_check.settings
    client = TestClient(reader.app)
    token = mint(settings, world.readers[1], int(time.time()))
    headers = {"Authorization": f"Bearer {token}"}
    problem(client.get("/v1/feed", params={"cursor": cursor}, headers=headers), 400)


def test_a_kept_ranking_that_has_expired_is_gone(reader: Reader, valkey: str) -> None:
    cursor = reader.get("/v1/feed", limit=1).json()["next_cursor"]
    client = redis.Redis.from_url(valkey)
    for key in client.scan_iter(f"{NAMESPACE}:ranking:*"):
        client.delete(key)
    problem(reader.get("/v1/feed", cursor=cursor), 410)


def test_a_feed_needs_a_token(reader: Reader) -> None:
    client = TestClient(reader.app)
    problem(client.get("/v1/feed"), 401)
    problem(client.get("/v1/feed", headers={"Authorization": "Bearer x"}), 401)


def test_readiness_names_what_is_missing(reader: Reader) -> None:
    ready = valid(Readiness, reader.get("/readyz"))
    assert ready["status"] == "degraded"
    assert ready["model"] == "tideline-ranker@1"
    assert ready["dependencies"]["redis"] == "ok"
    assert NOWHERE in ready["dependencies"]["model"]


def test_metrics_count_pages_by_rung_and_reason(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    # MLflow's server code sets it in the process of whoever imports it.
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    reader.get("/v1/feed", algorithm="chronological")
    text = reader.get("/metrics").text
    assert 'tideline_feed_total{reason="requested",rung="chronological"}' in text
    assert 'tideline_request_seconds_count{method="GET",route="/v1/feed",status="2xx"}' in text
    assert 'tideline_feed_stage_seconds_count{kind="source",stage="following"}' in text


def test_the_page_is_served_under_a_strict_policy(reader: Reader) -> None:
    page = reader.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    shown = page.text + "".join(reader.get(f"/page/{name}.js").text for name in ("feed", "explain"))
    for asset in ("feed.js", "explain.js", "element.js", "feed.css", "icon.svg"):
        assert f"/page/{asset}" in shown
        assert reader.get(f"/page/{asset}").status_code == 200
    problem(reader.get("/page/index.html"), 422)


def test_without_the_development_login_nobody_is_offered_to_sign_in_as(reader: Reader) -> None:
    problem(reader.get("/v1/auth/dev/users"), 404)


def test_with_the_development_login_readers_are_offered(valkey: str, world: World, tmp_path: Path) -> None:
    with TestClient(create_app(settings_of(tmp_path, valkey, dev_login=True))) as client:
        found = valid(dict[str, list[User]], client.get("/v1/auth/dev/users"))
    assert {user["id"] for user in found["items"]} >= {str(user) for user in world.readers}


def test_without_redis_the_service_starts_and_says_what_it_cannot_do(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "redis://127.0.0.1:1/0")
    with TestClient(create_app(settings)) as client:
        alone = Reader(client, settings, 1)
        assert client.get("/healthz").status_code == 200
        for path in ("/v1/feed", "/v1/feed?algorithm=chronological", "/v1/tweets/1", "/v1/trends"):
            response = alone.get(path)
            problem(response, 503)
            assert response.headers["retry-after"] == "1"
        ready = client.get("/readyz")
        assert ready.status_code == 503
        assert ready.json()["status"] == "unavailable"


def ranks(reader: Reader, body: dict[str, Any], **changes: Any) -> Any:
    """``POST /v1/rank`` signed by the mailer, with some of what is signed or sent changed."""
    sent = changes.get("sent", json.dumps(body).encode())
    now_ms = time.time_ns() // 1_000_000 + changes.get("late_ms", 0)
    key = changes.get("key", MAILER_KEY)
    signed = authorization(
        changes.get("service", "mailer"), key, "POST", "/v1/rank", json.dumps(body).encode(), now_ms
    )
    headers = {"Authorization": changes.get("header", signed), "Content-Type": "application/json"}
    return [reader.post("/v1/rank", sent, headers) for _ in range(changes.get("times", 1))][-1]


def test_a_service_ranks_its_own_candidates_and_is_told_what_is_unknown(reader: Reader, world: World) -> None:
    # Of the tweets that no test deletes: the feed has them still.
    shown = reader.another(world.readers[1]).get("/v1/feed", algorithm="chronological", limit=20).json()
    asked = [*(item["tweet"]["id"] for item in shown["items"]), "77"]
    body = {"user_id": str(world.readers[0]), "tweet_ids": asked}
    answer = valid(RankAnswer, ranks(reader, body))
    assert answer["model"] == "tideline-ranker@1"
    assert answer["unknown"] == ["77"]
    assert [item["id"] for item in answer["items"]] == asked[:20]
    assert len({item["score"] for item in answer["items"]}) > 1
    weights = reader.app.state.serving.models.current.bundle.weights
    for item in answer["items"]:
        chances = {head: np.array([p]) for head, p in item["probabilities"].items()}
        assert item["score"] == pytest.approx(combine(chances, weights)[0])


@pytest.mark.parametrize(
    "changes",
    [
        {"sent": b'{"user_id": "1", "tweet_ids": ["6"]}'},
        {"key": bytes(32)},
        {"service": "stranger", "key": bytes(32)},
        {"late_ms": -61_000},
        {"late_ms": 61_000},
        {"header": "HMAC mailer:1:x:y"},
        {"header": "Bearer x"},
        {"times": 2},
    ],
    ids=["body", "key", "service", "late", "early", "malformed", "bearer", "replay"],
)
def test_a_request_to_rank_that_is_not_signed_for_now_by_a_service_is_refused(
    reader: Reader, changes: dict[str, Any]
) -> None:
    problem(ranks(reader, {"user_id": "1", "tweet_ids": ["5"]}, **changes), 401)


def test_at_most_500_tweets_are_ranked_at_once(reader: Reader) -> None:
    many = {"user_id": "1", "tweet_ids": [str(tweet) for tweet in range(1, 502)]}
    found = problem(ranks(reader, many), 422)
    assert found["errors"][0]["pointer"] == "#/tweet_ids"


def test_without_a_model_there_is_nothing_to_rank_with(reader: Reader, world: World) -> None:
    models = reader.app.state.serving.models
    model, models.current = models.current, None
    body = {"user_id": str(world.readers[0]), "tweet_ids": [str(world.tweets[0])]}
    try:
        problem(ranks(reader, body), 503)
    finally:
        models.current = model
