from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from benchmarks.load import get, post
from benchmarks.open_loop import Answers, Timed, highest_rate, offer

HOST = "127.0.0.1"
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def answered(handler: Handler, load: Callable[[int], Awaitable[Answers]]) -> Answers:
    server = await asyncio.start_server(handler, HOST, 0)
    async with server:
        return await load(server.sockets[0].getsockname()[1])


async def say_the_path(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers each request with its path."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ")[1]
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(path), path))
    except asyncio.IncompleteReadError:
        writer.close()


def paths(answers: Answers) -> list[str]:
    return [answer.body.decode() for answer in answers.timed]


def test_every_request_is_answered_in_the_order_in_which_it_was_due() -> None:
    requests = [get(f"/{number}", HOST, "token") for number in range(20)]
    answers = asyncio.run(answered(say_the_path, lambda port: offer(HOST, port, requests, 1000)))
    assert paths(answers) == [f"/{number}" for number in range(20)]
    assert [answer.due for answer in answers.timed] == [number / 1000 for number in range(20)]
    assert not answers.followed


def test_what_follows_an_answer_is_due_when_that_came() -> None:
    requests = [get(f"/{number}", HOST, "token") for number in range(6)]

    def after(number: int, answer: Timed) -> bytes | None:
        return get(f"{answer.body.decode()}/again", HOST, "token") if number % 2 else None

    load = lambda port: offer(HOST, port, requests, 1000, following=after)  # noqa: E731
    answers = asyncio.run(answered(say_the_path, load))
    assert [answer.body for answer in answers.followed] == [b"/1/again", b"/3/again", b"/5/again"]
    assert [answer.due for answer in answers.followed] == [answer.ended for answer in answers.timed[1::2]]


def test_a_connection_that_the_service_closed_is_opened_anew() -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        writer.close()

    requests = [get("/", HOST, "token")] * 3
    # The pause between two requests is for the end of the connection to arrive.
    answers = asyncio.run(answered(once, lambda port: offer(HOST, port, requests, 20, connections=1)))
    assert paths(answers) == ["ok"] * 3


def test_a_post_says_how_long_its_body_is() -> None:
    request = post("/v1/tweets", HOST, "token", b'{"text":"x"}')
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/tweets HTTP/1.1\r\n")
    assert b"Content-Length: 12" in head.split(b"\r\n")
    assert body == b'{"text":"x"}'


@pytest.mark.parametrize("limit", [8.0, 11.0, 31.9, 100.0])
def test_the_highest_rate_is_found_to_a_sixteenth(limit: float) -> None:
    rate = highest_rate(lambda rate: rate <= limit, 8)
    assert rate <= limit < rate * (1 + 1 / 16) + 1e-9


def test_there_is_no_highest_rate_where_the_first_is_too_high() -> None:
    asked: list[float] = []

    def sustained(rate: float) -> bool:
        asked.append(rate)
        return False

    assert highest_rate(sustained, 8) == 0
    assert asked == [8]
