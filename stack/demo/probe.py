"""The demo as a client: what it posts must reach a follower's feed, and how fast, over HTTP alone."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Self

import httpx
import numpy as np

POLL_SECONDS = 0.02


class ProbeError(RuntimeError):
    """What was posted did not show in time, or the API refused it."""


@dataclass(frozen=True)
class Quantiles:
    """Milliseconds."""

    p50_ms: float
    p99_ms: float
    samples: int

    @classmethod
    def of(cls, seconds: list[float]) -> Quantiles:
        p50, p99 = np.percentile(np.asarray(seconds) * 1000, [50, 99])
        return cls(round(float(p50), 1), round(float(p99), 1), len(seconds))


class FeedClient:
    """One client of the HTTP API that can sign in as any user of the demo.

    Its measuring reads carry ``audit_token``s: they are no impressions, so training does not learn from them.
    """

    def __init__(self, url: str, audit_token: Callable[[int], str]) -> None:
        self._http = httpx.Client(base_url=url, timeout=10)
        self._audit_token = audit_token
        self._tokens: dict[int, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def _headers(self, user: int) -> dict[str, str]:
        if user not in self._tokens:
            answer = self._send("POST", "/v1/auth/dev", json={"user_id": str(user)})
            self._tokens[user] = answer.json()["access_token"]
        return {"Authorization": f"Bearer {self._tokens[user]}"}

    def _audit_headers(self, user: int) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._audit_token(user)}"}

    def _send(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **more)
        except httpx.TransportError as error:
            raise ProbeError(f"{method} {path}: the API does not answer.") from error
        if answer.is_error:
            raise ProbeError(
                f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text}"
            )
        return answer

    def ready(self) -> bool:
        try:
            return self._http.get("/readyz").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def feed(
        self, user: int, algorithm: str = "ranked", limit: int = 20, audit: bool = True
    ) -> dict[str, Any]:
        headers = self._audit_headers(user) if audit else self._headers(user)
        params: dict[str, str | int] = {"algorithm": algorithm, "limit": limit}
        page: dict[str, Any] = self._send("GET", "/v1/feed", params=params, headers=headers).json()
        return page

    def trends(self, place: str, window: str) -> dict[str, Any]:
        params = {"place": place, "window": window}
        found: dict[str, Any] = self._send("GET", "/v1/trends", params=params).json()
        return found

    def post(self, author: int, text: str) -> str:
        headers = self._headers(author) | {"Idempotency-Key": str(uuid.uuid4())}
        return str(self._send("POST", "/v1/tweets", json={"text": text}, headers=headers).json()["id"])

    def like(self, user: int, tweet: str) -> None:
        self._send("PUT", f"/v1/tweets/{tweet}/like", headers=self._headers(user))

    def likes_of(self, user: int, tweet: str) -> int:
        answer = self._send("GET", f"/v1/tweets/{tweet}", headers=self._headers(user))
        return int(answer.json()["counts"]["likes"])


def seconds_until(condition: Callable[[], bool], what: str, timeout: float) -> float:
    """Seconds until ``condition`` first held.

    Raises:
        ProbeError: it did not hold within ``timeout`` seconds.
    """
    start = time.monotonic()
    while not condition():
        if time.monotonic() - start > timeout:
            raise ProbeError(f"{what} did not happen within {timeout:.0f} s.")
        time.sleep(POLL_SECONDS)
    return time.monotonic() - start


def stands_in_feed(client: FeedClient, reader: int, tweet: str) -> bool:
    page = client.feed(reader, "chronological")
    return any(item["tweet"]["id"] == tweet for item in page["items"])


def post_and_like(client: FeedClient, author: int, follower: int, timeout: float = 30) -> tuple[float, float]:
    """Seconds until a new tweet stands in the follower's feed, and until its like is counted."""
    tweet = client.post(author, "Hello from the demo #tideline")
    shown = seconds_until(
        partial(stands_in_feed, client, follower, tweet), f"Tweet {tweet} in the feed of {follower}", timeout
    )
    client.like(follower, tweet)
    counted = seconds_until(
        lambda: client.likes_of(author, tweet) >= 1,
        f"The like of {follower} in the count of {tweet}",
        timeout,
    )
    return shown, counted


def freshness(client: FeedClient, author: int, follower: int, samples: int) -> Quantiles:
    """From the answer to ``POST /v1/tweets`` until the follower's chronological feed shows the tweet."""
    waits = []
    for number in range(samples):
        tweet = client.post(author, f"Freshness probe {number}")
        waits.append(
            seconds_until(
                partial(stands_in_feed, client, follower, tweet),
                f"Tweet {tweet} in the feed of {follower}",
                30,
            )
        )
    return Quantiles.of(waits)


def feed_latency(client: FeedClient, readers: list[int], algorithm: str, requests: int) -> Quantiles:
    """One request after the other, readers in turn, after one warm-up request each."""
    for reader in readers:
        client.feed(reader, algorithm)
    waits = []
    for number in range(requests):
        start = time.monotonic()
        client.feed(readers[number % len(readers)], algorithm)
        waits.append(time.monotonic() - start)
    return Quantiles.of(waits)
