"""Good and bad requests that Schemathesis makes from the checked-in OpenAPI document, to both APIs as one.

The examples are the same in every run. Ids in paths are often those of tweets and accounts that are there.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from benchmarks.feed_model import write_model
from benchmarks.feed_world import seed
from ingestion.api import service as writes
from ingestion.api.settings import WriteSettings
from ingestion.publisher import MemoryPublisher
from ingestion.settings import SecuritySettings
from ingestion.tokens import mint
from records.migrate import migrate
from records.settings import RecordsSettings
from serving import service as ranking
from serving.model_store import LAST_GOOD_FILE
from serving.settings import ServingSection, ServingSettings
from stack.asgi import build
from timelines import commands
from timelines.bodies import TweetBody
from timelines.keys import Keyspace
from timelines.settings import RedisSettings
from training.settings import MlflowSettings

pytestmark = [pytest.mark.valkey, pytest.mark.postgres]

NAMESPACE = "openapi-examples"
READER, AUTHORS, TWEETS = 1_000, (10_000, 10_001, 10_002), (77_001, 77_002, 77_003)
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


def document() -> dict[str, Any]:
    """The checked-in document, with ids that are there, and without security: every request is signed in."""
    described: dict[str, Any] = json.loads(
        (Path(__file__).parents[2] / "docs" / "api-openapi.json").read_text()
    )
    there = {"tweet_id": TWEETS, "user_id": (READER, *AUTHORS)}
    for operations in described["paths"].values():
        for operation in operations.values():
            operation.pop("security", None)
            for parameter in operation.get("parameters", ()):
                if ids := there.get(parameter["name"]):
                    known = {"enum": [str(entity) for entity in ids]}
                    parameter["schema"] = {"anyOf": [known, parameter["schema"]]}
    return described


# A stream of events has no end: tests/integration/test_feed_stream_http.py reads it.
SCHEMA = schemathesis.openapi.from_dict(document()).exclude(path="/v1/feed/stream")


@pytest.fixture(scope="module")
def client(valkey: str, postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Both APIs over real stores and a log in memory, with a model, signed in as a reader."""
    home = tmp_path_factory.mktemp("home")
    folder = home / "serving" / "model" / NAMESPACE
    write_model(folder / "ranker-1", trees=5, leaves=4)
    (folder / LAST_GOOD_FILE).write_text("ranker-1\nranker@1\n")
    shared: dict[str, Any] = {
        "home": home,
        "namespace": NAMESPACE,
        "redis": RedisSettings(url=valkey),
        "records": RecordsSettings(dsn=postgres),
        "security": SecuritySettings(private_key=home / "token.pem", public_key=home / "token.pub.pem"),
    }
    serving = ServingSettings(
        **shared,
        mlflow=MlflowSettings(tracking_uri="http://127.0.0.1:1"),
        serving=ServingSection(cursor_key=home / "cursor.key", deadline_ms=60_000, records_ms=10_000),
    )
    migrate(serving.records, NAMESPACE)
    keys = Keyspace(NAMESPACE, serving.redis.partitions)
    with redis.Redis.from_url(valkey) as store:
        now_ms = time.time_ns() // 1_000_000
        seed(store, keys, serving.timelines, now_ms, readers=1, authors=len(AUTHORS), tweets=30)
        pipe = store.pipeline(transaction=False)
        for tweet in TWEETS:
            commands.put_body(pipe, keys, TweetBody(tweet, AUTHORS[0], "Hello", now_ms))
        pipe.execute()
    with pytest.MonkeyPatch.context() as patch:
        for module in (writes, ranking):
            patch.setattr(module, "KafkaPublisher", lambda *_: MemoryPublisher())
        with TestClient(build(WriteSettings(**shared), serving), raise_server_exceptions=False) as http:
            token = mint(serving.security, READER, int(time.time()))
            http.headers["Authorization"] = f"Bearer {token}"
            yield http


def arguments(case: Case, base_url: str) -> dict[str, Any]:
    """The request in httpx's words; Schemathesis gives it in those of requests."""
    request = case.as_transport_kwargs(base_url=base_url)
    del request["cookies"]
    request["headers"] = {name: value.encode("latin-1") for name, value in request["headers"].items()}
    if "data" in request:
        request["content"] = request.pop("data")
    return request


@SCHEMA.parametrize()
@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_every_answer_is_as_documented_and_a_malformed_request_is_a_problem(
    case: Case, client: TestClient
) -> None:
    answer = client.request(**arguments(case, str(client.base_url)), follow_redirects=False)
    case.validate_response(answer, checks=CHECKS)
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code
