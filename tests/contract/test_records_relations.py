"""Follows, mutes, blocks, muted words and accounts on a real PostgreSQL: transactions with their messages."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, make_url
from sqlalchemy.pool import NullPool

from ingestion.events import (
    AccountRegistered,
    BlockChanged,
    Event,
    FollowChanged,
    MuteChanged,
    MutedWordsChanged,
    decode,
)
from ingestion.outbox import message_of
from records import outbox
from records.changes import Change
from records.connections import DRIVER, connect, connect_options, open_engine
from records.migrate import RecordsUnavailableError, migrate
from records.relations import BlockedError, FollowLimitError, HandleTakenError, Relations
from records.settings import RecordsSettings
from records.tables import metadata

pytestmark = pytest.mark.postgres

ANN, BEN, CAT = 1, 2, 3
NOW = 1_900_000_000_000
Scenario = Callable[[Relations], Awaitable[None]]


@pytest.fixture
def run(records: RecordsSettings, records_namespace: str) -> Callable[[Scenario], None]:
    """Runs a scenario over tables of its own."""

    def runner(scenario: Scenario) -> None:
        async def whole() -> None:
            engine = open_engine(records, records_namespace)
            try:
                await scenario(Relations(engine, message_of, lambda: str(uuid.uuid4())))
            finally:
                await engine.dispose()

        asyncio.run(whole())

    return runner


@pytest.fixture
def messages(records: RecordsSettings, records_namespace: str) -> Callable[[], list[Event]]:
    """What waits in the outbox, in its order."""

    def read() -> list[Event]:
        with connect(records, records_namespace) as connection:
            return [decode(message.payload) for message in outbox.waiting(connection, 1000)]

    return read


def test_the_migrations_make_the_tables_that_the_queries_are_written_for(
    records: RecordsSettings, records_namespace: str
) -> None:
    engine = create_engine(
        make_url(records.dsn).set(drivername=DRIVER),
        poolclass=NullPool,
        connect_args=connect_options(records, records_namespace, None),
    )
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    assert [change for change in differences if "alembic_version" not in str(change)] == []


def test_migrating_again_changes_nothing_and_a_server_that_is_away_is_said_in_one_sentence(
    records: RecordsSettings, records_namespace: str
) -> None:
    assert migrate(records, records_namespace) == migrate(records, records_namespace)
    with pytest.raises(RecordsUnavailableError, match=r"PostgreSQL does not answer: .*refused"):
        migrate(RecordsSettings(dsn="postgresql://x@127.0.0.1:1/x"), "")


def test_a_follow_is_one_row_and_one_message_however_often_it_is_made(
    run: Callable[[Scenario], None], messages: Callable[[], list[Event]]
) -> None:
    async def scenario(relations: Relations) -> None:
        (made,) = await relations.follow(ANN, BEN, NOW, most=5)
        assert (made.kind, made.user, made.target, made.active, made.ts) == ("follow", ANN, BEN, True, NOW)
        assert await relations.follow(ANN, BEN, NOW + 1, most=5) == []
        (ended,) = await relations.unfollow(ANN, BEN, NOW + 2, known=False)
        assert await relations.unfollow(ANN, BEN, NOW + 3, known=True) == []
        assert messages() == [
            FollowChanged(event_id=made.event_id, ts=NOW, follower_id=ANN, followee_id=BEN, active=True),
            FollowChanged(
                event_id=ended.event_id, ts=NOW + 2, follower_id=ANN, followee_id=BEN, active=False
            ),
        ]

    run(scenario)


def test_a_follow_known_elsewhere_only_can_be_ended_before_it_has_a_row(
    run: Callable[[Scenario], None],
) -> None:
    async def scenario(relations: Relations) -> None:
        assert await relations.unfollow(ANN, BEN, NOW, known=False) == []
        (ended,) = await relations.unfollow(ANN, BEN, NOW, known=True)
        assert not ended.active

    run(scenario)


def test_nobody_follows_more_than_the_limit_even_by_requests_at_once(
    run: Callable[[Scenario], None], messages: Callable[[], list[Event]]
) -> None:
    async def scenario(relations: Relations) -> None:
        attempts = [relations.follow(ANN, target, NOW, most=3) for target in range(10, 18)]
        answers = await asyncio.gather(*attempts, return_exceptions=True)
        assert sum(isinstance(answer, FollowLimitError) for answer in answers) == 5
        assert len(messages()) == 3
        followed = [answer[0].target for answer in answers if isinstance(answer, list)]
        await relations.unfollow(ANN, followed[0], NOW + 1, known=True)
        assert len(await relations.follow(ANN, 99, NOW + 2, most=3)) == 1

    run(scenario)


def test_a_block_ends_follows_both_ways_and_forbids_new_ones_until_it_is_lifted(
    run: Callable[[Scenario], None], messages: Callable[[], list[Event]]
) -> None:
    async def scenario(relations: Relations) -> None:
        await relations.follow(ANN, BEN, NOW, most=5)
        await relations.follow(BEN, ANN, NOW, most=5)
        changes = await relations.block(ANN, BEN, NOW + 1)
        assert [(c.kind, c.user, c.target, c.active) for c in changes] == [
            ("block", ANN, BEN, True),
            ("follow", ANN, BEN, False),
            ("follow", BEN, ANN, False),
        ]
        assert await relations.block(ANN, BEN, NOW + 2) == []
        for user, target in ((ANN, BEN), (BEN, ANN)):
            with pytest.raises(BlockedError):
                await relations.follow(user, target, NOW + 3, most=5)
        assert len(await relations.unblock(ANN, BEN, NOW + 4)) == 1
        assert await relations.unblock(ANN, BEN, NOW + 5) == []
        assert len(await relations.follow(BEN, ANN, NOW + 6, most=5)) == 1
        assert [type(event) for event in messages()[2:5]] == [BlockChanged, FollowChanged, FollowChanged]

    run(scenario)


def test_two_who_block_each_other_at_once_both_do(run: Callable[[Scenario], None]) -> None:
    async def scenario(relations: Relations) -> None:
        one, other = await asyncio.gather(relations.block(ANN, BEN, NOW), relations.block(BEN, ANN, NOW))
        assert (one[0].user, other[0].user) == (ANN, BEN)

    run(scenario)


def test_mutes_and_muted_words_are_set_and_taken_back_with_a_message_for_each_change(
    run: Callable[[Scenario], None], messages: Callable[[], list[Event]]
) -> None:
    async def scenario(relations: Relations) -> None:
        assert await relations.mute(ANN, BEN, NOW, active=False) == []
        assert len(await relations.mute(ANN, BEN, NOW, active=True)) == 1
        assert await relations.mute(ANN, BEN, NOW, active=True) == []
        assert len(await relations.mute(ANN, BEN, NOW + 1, active=False)) == 1
        assert await relations.mute_words(ANN, (), NOW) == []
        (change,) = await relations.mute_words(ANN, ("rain", "#worldcup"), NOW)
        assert await relations.mute_words(ANN, ("rain", "#worldcup"), NOW + 1) == []
        muted, unmuted, words = messages()
        assert [(e.active, e.ts) for e in (muted, unmuted) if isinstance(e, MuteChanged)] == [
            (True, NOW),
            (False, NOW + 1),
        ]
        assert words == MutedWordsChanged(
            event_id=change.event_id, ts=NOW, user_id=ANN, words=("rain", "#worldcup")
        )

    run(scenario)


def test_a_change_is_newer_than_what_it_replaces_though_the_clock_stepped_back(
    run: Callable[[Scenario], None],
) -> None:
    async def scenario(relations: Relations) -> None:
        await relations.follow(ANN, BEN, NOW, most=5)
        (ended,) = await relations.unfollow(ANN, BEN, NOW - 60_000, known=True)
        assert ended.ts == NOW + 1

    run(scenario)


def test_an_account_is_registered_once_per_handle_whatever_its_case(
    run: Callable[[Scenario], None], messages: Callable[[], list[Event]]
) -> None:
    async def scenario(relations: Relations) -> None:
        change = await relations.register(ANN, "Ann", "Ann A.", "Northport", NOW)
        with pytest.raises(HandleTakenError, match="ann"):
            await relations.register(BEN, "ann", "Another", None, NOW)
        assert messages() == [
            AccountRegistered(
                event_id=change.event_id,
                ts=NOW,
                user_id=ANN,
                handle="Ann",
                display_name="Ann A.",
                place="Northport",
                created_at=NOW,
            )
        ]

    run(scenario)


def test_a_change_whose_message_cannot_be_written_is_not_made(
    run: Callable[[Scenario], None], records: RecordsSettings, records_namespace: str
) -> None:
    def without_payload(change: Change) -> Any:
        return replace(message_of(change), payload=b"not json")

    async def scenario(relations: Relations) -> None:
        with pytest.raises(Exception, match="json"):
            await replace(relations, message=without_payload).follow(ANN, BEN, NOW, most=5)

    run(scenario)
    with connect(records, records_namespace) as connection:
        assert connection.execute("SELECT count(*) FROM follows").fetchone() == (0,)


def test_only_one_session_leads_the_relay_of_a_schema_until_it_ends(
    records: RecordsSettings, records_namespace: str
) -> None:
    with connect(records, records_namespace) as standby:
        with connect(records, records_namespace) as leader, connect(records, "another") as another:
            assert outbox.try_to_lead(leader)
            assert not outbox.try_to_lead(standby)
            assert outbox.try_to_lead(another)
        # The server learns of the closed session in its own time.
        deadline = time.monotonic() + 10
        while not outbox.try_to_lead(standby):
            assert time.monotonic() < deadline


def test_a_bad_dsn_is_refused_by_the_driver(records: RecordsSettings) -> None:
    with pytest.raises(psycopg.OperationalError):
        connect(RecordsSettings(dsn="postgresql://x@127.0.0.1:1/x"), "")
