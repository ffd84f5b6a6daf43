"""Reads whole chronological feeds through HTTP pages, many readers at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from types import TracebackType
from typing import Self

import httpx
import msgspec

from stack.verify.fold import Item

PAGE = 100
ATTEMPTS = 6
FIRST_WAIT_S = 0.2
TIMEOUT_S = 30.0
# What lies below the newest entries that a home timeline keeps, which are what is compared.
RECORDS = "records"
RETRIED = frozenset({429, 502, 503, 504})


class FeedReadError(RuntimeError):
    """A feed could not be read."""


class _User(msgspec.Struct):
    id: str


class _Tweet(msgspec.Struct):
    id: str
    retweeted_by: list[_User] = []


class _FeedItem(msgspec.Struct):
    tweet: _Tweet


class _Ranking(msgspec.Struct):
    rung: str
    reason: str | None


class _Page(msgspec.Struct):
    items: list[_FeedItem]
    next_cursor: str | None
    has_more: bool
    ranking: _Ranking


_pages = msgspec.json.Decoder(_Page)


class FeedPages:
    """A client of the ranking API at ``url``; ``token_of`` answers the bearer token of a reader."""

    def __init__(
        self,
        url: str,
        token_of: Callable[[int], str],
        concurrency: int,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        limits = httpx.Limits(max_connections=concurrency)
        self._http = httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S, limits=limits, transport=transport)
        self._token_of = token_of
        self._concurrency = concurrency

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def feeds(self, readers: Sequence[int]) -> AsyncIterator[tuple[int, list[Item]]]:
        """Each reader's whole feed, as they come in.

        Raises:
            FeedReadError: the API refuses, does not answer, or answers with another order.
        """
        waiting = iter(readers)
        running: set[asyncio.Task[tuple[int, list[Item]]]] = set()
        try:
            while True:
                while len(running) < self._concurrency and (reader := next(waiting, None)) is not None:
                    running.add(asyncio.create_task(self._feed(reader)))
                if not running:
                    return
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    yield task.result()
        finally:
            for task in running:
                task.cancel()

    async def _feed(self, reader: int) -> tuple[int, list[Item]]:
        headers = {"Authorization": f"Bearer {self._token_of(reader)}"}
        query: dict[str, str | int] = {"algorithm": "chronological", "limit": PAGE}
        items: list[Item] = []
        while True:
            page = await self._page(query, headers)
            if page.ranking.rung == RECORDS:
                return reader, items
            for found in page.items:
                retweeters = tuple(int(user.id) for user in found.tweet.retweeted_by)
                items.append(Item(int(found.tweet.id), retweeters))
            if page.next_cursor is None or not page.has_more:
                return reader, items
            query["cursor"] = page.next_cursor

    async def _page(self, query: dict[str, str | int], headers: dict[str, str]) -> _Page:
        for attempt in range(ATTEMPTS):
            try:
                answer = await self._http.get("/v1/feed", params=query, headers=headers)
            except httpx.TransportError as error:
                if attempt == ATTEMPTS - 1:
                    raise FeedReadError(
                        f"The API at {self._http.base_url} does not answer: {type(error).__name__}."
                    ) from error
            else:
                if answer.status_code == httpx.codes.OK:
                    return _checked(_pages.decode(answer.content))
                if answer.status_code not in RETRIED or attempt == ATTEMPTS - 1:
                    raise FeedReadError(f"GET /v1/feed answered {answer.status_code}: {answer.text[:200]}")
            await asyncio.sleep(FIRST_WAIT_S * 2**attempt)
        raise AssertionError("the last attempt returns or raises")


def _checked(page: _Page) -> _Page:
    if page.ranking.rung not in ("chronological", RECORDS):
        raise FeedReadError(f"A chronological feed was answered on the rung {page.ranking.rung}.")
    if page.ranking.reason not in (None, "requested"):
        raise FeedReadError(f"A feed was not answered in full: {page.ranking.reason}.")
    return page
