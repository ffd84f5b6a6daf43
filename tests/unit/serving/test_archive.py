"""What the archive does with a question: turns, time, and the breaker."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from serving.archive import Archive, ArchiveBreakerOpenError, ArchiveUnavailableError
from serving.settings import BreakerSection

FOREVER = 3600.0
AT_ONCE = 0.001


def archive(seconds: float, connections: int = 1) -> Archive:
    engine: Any = None
    section = BreakerSection(least_calls=2, pause_ms=3_600_000)
    return Archive.of(engine, connections, seconds, section)


async def answered() -> str:
    return "answer"


async def failing() -> str:
    raise OSError("No route.")


async def hanging() -> str:
    await asyncio.Event().wait()
    return "never"


def test_questions_that_are_not_answered_open_the_breaker_and_the_next_is_not_asked() -> None:
    async def scenario() -> None:
        records = archive(AT_ONCE)
        for question in (failing(), hanging()):
            with pytest.raises(ArchiveUnavailableError):
                await records.ask(question)
        assert records.breaker.state == "open"
        refused = answered()
        with pytest.raises(ArchiveBreakerOpenError):
            await records.ask(refused)
        with pytest.raises(RuntimeError, match="cannot reuse"):
            await refused

    asyncio.run(scenario())


def test_waiting_for_a_turn_in_vain_says_nothing_of_the_records() -> None:
    async def scenario() -> None:
        records = archive(AT_ONCE)
        await records.turns.acquire()
        for _ in range(5):
            with pytest.raises(ArchiveUnavailableError):
                await records.ask(answered())
        records.turns.release()
        assert await records.ask(answered()) == "answer"
        assert records.breaker.state == "closed"

    asyncio.run(scenario())


def test_a_cancelled_question_gives_its_turn_back() -> None:
    async def scenario() -> None:
        records = archive(FOREVER)
        asking = asyncio.create_task(records.ask(hanging()))
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert await records.ask(answered()) == "answer"

    asyncio.run(scenario())
