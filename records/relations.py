"""Follows, mutes, blocks, muted words and accounts: transactions that leave their messages in the outbox.

Writers of one user exclude each other by an advisory lock until they commit, so that limits hold and the
outbox has each user's changes in their order. A change is newer than what it replaces even where the clock
has stepped back.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, func, or_, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from records import outbox
from records.changes import AccountChange, Change, EdgeChange, EdgeKind, WordsChange
from records.outbox import Message
from records.tables import accounts, blocks, follows, handles, muted_words, mutes

EDGES = {
    "follow": (follows, follows.c.follower_id, follows.c.followee_id),
    "mute": (mutes, mutes.c.user_id, mutes.c.muted_id),
    "block": (blocks, blocks.c.user_id, blocks.c.blocked_id),
}


class FollowLimitError(ValueError):
    """The user follows as many accounts as anyone may."""


class BlockedError(ValueError):
    """One of the two blocks the other."""


class HandleTakenError(ValueError):
    """The handle belongs to another account."""


@dataclass(frozen=True)
class Relations:
    """``message`` says what the log is told of a change; ``new_id`` gives UUIDs.

    All methods raise what :func:`records.connections.is_unavailable` tells apart. Each returns what it
    changed, nothing where all was so already.
    """

    engine: AsyncEngine
    message: Callable[[Change], Message]
    new_id: Callable[[], str]

    async def follow(self, user: int, target: int, now_ms: int, most: int) -> list[EdgeChange]:
        """
        Raises:
            FollowLimitError: the user follows ``most`` accounts.
            BlockedError: one of the two blocks the other.
        """
        async with self._transaction(user) as connection:
            row = await _version(connection, "follow", user, target)
            if row is not None and row.active:
                return []
            if await _blocked(connection, user, target):
                raise BlockedError(f"One of {user} and {target} blocks the other.")
            if await _count(connection, "follow", user) >= most:
                raise FollowLimitError(f"A user follows at most {most} accounts.")
            return await self._write(connection, [self._change("follow", user, target, True, now_ms, row)])

    async def unfollow(self, user: int, target: int, now_ms: int, *, known: bool) -> list[EdgeChange]:
        """``known``: the edge exists elsewhere, so that its end is recorded even where it has no row yet."""
        async with self._transaction(user) as connection:
            row = await _version(connection, "follow", user, target)
            if not (known if row is None else row.active):
                return []
            return await self._write(connection, [self._change("follow", user, target, False, now_ms, row)])

    async def mute(self, user: int, target: int, now_ms: int, *, active: bool) -> list[EdgeChange]:
        async with self._transaction(user) as connection:
            row = await _version(connection, "mute", user, target)
            if (row is not None and row.active) == active:
                return []
            return await self._write(connection, [self._change("mute", user, target, active, now_ms, row)])

    async def block(self, user: int, target: int, now_ms: int) -> list[EdgeChange]:
        """Neither follows the other from then on."""
        async with self._transaction(user, target) as connection:
            row = await _version(connection, "block", user, target)
            if row is not None and row.active:
                return []
            changes = [self._change("block", user, target, True, now_ms, row)]
            for follower, followee in ((user, target), (target, user)):
                edge = await _version(connection, "follow", follower, followee)
                if edge is not None and edge.active:
                    changes.append(self._change("follow", follower, followee, False, now_ms, edge))
            return await self._write(connection, changes)

    async def unblock(self, user: int, target: int, now_ms: int) -> list[EdgeChange]:
        """Follows that the block ended stay ended."""
        async with self._transaction(user) as connection:
            row = await _version(connection, "block", user, target)
            if row is None or not row.active:
                return []
            return await self._write(connection, [self._change("block", user, target, False, now_ms, row)])

    async def mute_words(self, user: int, words: Sequence[str], now_ms: int) -> list[WordsChange]:
        """Replace the words the user mutes."""
        async with self._transaction(user) as connection:
            found = await connection.execute(select(muted_words).where(muted_words.c.user_id == user))
            row = found.first()
            if list(words) == ([] if row is None else row.words):
                return []
            change = WordsChange(user, tuple(words), _later(now_ms, row), self.new_id())
            values = {"words": list(words), "ts": change.ts, "event_id": change.event_id}
            statement = insert(muted_words).values(user_id=user, **values)
            await connection.execute(statement.on_conflict_do_update(index_elements=["user_id"], set_=values))
            await outbox.add(connection, [self.message(change)])
            return [change]

    async def muted_words(self, user: int) -> tuple[str, ...]:
        async with self.engine.connect() as connection:
            query = select(muted_words.c.words).where(muted_words.c.user_id == user)
            row = (await connection.execute(query)).first()
            return () if row is None else tuple(row.words)

    async def register(
        self, user_id: int, handle: str, display_name: str, place: str | None, now_ms: int
    ) -> AccountChange:
        """
        Raises:
            HandleTakenError: the handle, upper or lower case, belongs to another account.
        """
        async with self._transaction(user_id) as connection:
            claim = insert(handles).values(handle=handle.lower(), user_id=user_id).on_conflict_do_nothing()
            if (await connection.execute(claim.returning(handles.c.user_id))).first() is None:
                raise HandleTakenError(f"The handle {handle} is taken.")
            change = AccountChange(user_id, handle, display_name, place, now_ms, now_ms, self.new_id())
            await connection.execute(
                insert(accounts).values(
                    user_id=user_id,
                    handle=handle,
                    display_name=display_name,
                    place=place,
                    created_at=now_ms,
                    ts=now_ms,
                    event_id=change.event_id,
                )
            )
            await outbox.add(connection, [self.message(change)])
            return change

    @asynccontextmanager
    async def _transaction(self, *users: int) -> AsyncIterator[AsyncConnection]:
        async with self.engine.begin() as connection:
            for user in sorted(users):  # always in this order, so that two of them never wait in a circle
                await connection.execute(select(func.pg_advisory_xact_lock(user)))
            yield connection

    def _change(
        self, kind: EdgeKind, user: int, target: int, active: bool, now_ms: int, row: Any
    ) -> EdgeChange:
        return EdgeChange(kind, user, target, active, _later(now_ms, row), self.new_id())

    async def _write(self, connection: AsyncConnection, changes: list[EdgeChange]) -> list[EdgeChange]:
        for change in changes:
            table, subject, target = EDGES[change.kind]
            values = {"active": change.active, "ts": change.ts, "event_id": change.event_id}
            statement = insert(table).values({subject: change.user, target: change.target, **values})
            # A row that was materialized from the log meanwhile stays if it is newer.
            newer = tuple_(statement.excluded.ts, statement.excluded.event_id) > tuple_(
                table.c.ts, table.c.event_id
            )
            await connection.execute(
                statement.on_conflict_do_update(index_elements=[subject, target], set_=values, where=newer)
            )
        await outbox.add(connection, [self.message(change) for change in changes])
        return changes


def _later(now_ms: int, row: Any) -> int:
    return now_ms if row is None else max(now_ms, row.ts + 1)


async def _version(connection: AsyncConnection, kind: EdgeKind, user: int, other: int) -> Any:
    table, subject, target = EDGES[kind]
    query = select(table.c.active, table.c.ts).where(subject == user, target == other)
    # A row materialized from the log meanwhile waits: the change below is newer than it.
    return (await connection.execute(query.with_for_update())).first()


async def _count(connection: AsyncConnection, kind: EdgeKind, user: int) -> int:
    table, subject, _ = EDGES[kind]
    query = select(func.count()).select_from(table).where(subject == user, table.c.active)
    return int((await connection.execute(query)).scalar_one())


async def _blocked(connection: AsyncConnection, one: int, other: int) -> bool:
    c = blocks.c
    pair = or_(and_(c.user_id == one, c.blocked_id == other), and_(c.user_id == other, c.blocked_id == one))
    return (await connection.execute(select(c.user_id).where(pair, c.active).limit(1))).first() is not None
