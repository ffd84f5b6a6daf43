from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx
import pytest

from stack.verify import feeds
from stack.verify.feeds import FeedPages, FeedReadError
from stack.verify.fold import Item

Answer = Callable[[httpx.Request], httpx.Response]


def page(
    ids: list[int], cursor: str | None = None, rung: str = "chronological", reason: str = "requested"
) -> httpx.Response:
    items = [{"tweet": {"id": str(number), "retweeted_by": [{"id": "7", "handle": "x"}]}} for number in ids]
    ranking = {"rung": rung, "reason": reason, "model": None}
    return httpx.Response(
        200, json={"items": items, "next_cursor": cursor, "has_more": cursor is not None, "ranking": ranking}
    )


def read(answer: Answer, readers: list[int]) -> dict[int, list[Item]]:
    async def scenario() -> dict[int, list[Item]]:
        transport = httpx.MockTransport(answer)
        async with FeedPages("http://feed", lambda user: f"token-{user}", 2, transport) as pages:
            return {reader: items async for reader, items in pages.feeds(readers)}

    return asyncio.run(scenario())


def test_every_page_of_every_reader_is_read_with_the_readers_token() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        reader = int(request.headers["authorization"].removeprefix("Bearer token-"))
        assert request.url.params["algorithm"] == "chronological"
        if "cursor" not in request.url.params:
            return page([reader * 10 + 2, reader * 10 + 1], cursor=f"after-{reader}")
        assert request.url.params["cursor"] == f"after-{reader}"
        return page([reader * 10])

    found = read(answer, [1, 2, 3])
    assert found == {
        reader: [Item(reader * 10 + 2, (7,)), Item(reader * 10 + 1, (7,)), Item(reader * 10, (7,))]
        for reader in (1, 2, 3)
    }


def test_an_answer_on_another_rung_is_an_error() -> None:
    with pytest.raises(FeedReadError, match="rung full"):
        read(lambda request: page([1], rung="full"), [1])


def test_a_degraded_chronological_answer_is_an_error() -> None:
    with pytest.raises(FeedReadError, match="redis_unavailable"):
        read(lambda request: page([], reason="redis_unavailable"), [1])


def test_a_refusal_is_an_error_with_its_text() -> None:
    with pytest.raises(FeedReadError, match="401: no such key"):
        read(lambda request: httpx.Response(401, text="no such key"), [1])


def test_a_busy_answer_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "FIRST_WAIT_S", 0.0)
    answers = [httpx.Response(503), httpx.Response(429), page([5])]
    assert read(lambda request: answers.pop(0), [1]) == {1: [Item(5, (7,))]}


def test_an_api_that_never_answers_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "FIRST_WAIT_S", 0.0)

    def refused(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(FeedReadError, match="does not answer: ConnectError"):
        read(refused, [1])
