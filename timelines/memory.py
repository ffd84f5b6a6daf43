"""An in-memory twin of the timeline store: the Redis commands and functions this package uses, in Python.

:class:`MemoryRedis` stands in for the synchronous client, :class:`AsyncMemoryRedis` for the asyncio client;
clients made over one :class:`MemoryStore` see the same data. It keeps the stored form to the byte, so the
contract suite runs over it and a real server alike.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from typing import Any

from timelines import timeline
from timelines.cells import CELL_BYTES, SECOND, pack_cells, unpack_cells
from timelines.entry import Entries
from timelines.timeline import HEADER_BYTES, TAIL_MAGIC, Header, read_header, spread

Members = set[bytes]
Value = bytes | dict[bytes, float] | Members


def _bytes(value: bytes | str | int | float) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


Room = Callable[[int, bool], int]


def _no_room(used: int, full: bool) -> int:
    return 0


def _outbox_room(key: bytes, slack: int) -> Room:
    return lambda used, full: spread(slack, key[-1], key[-2]) if full else max(4, used // 2)


def _settled(head: Header, entries: Entries, length: int, room: Room) -> bytes:
    kept = timeline.newest(entries)
    floor = max(head.floor, int(kept["appearance"][length])) if len(kept) > length else head.floor
    kept = kept[:length][::-1]
    cells, _ = pack_cells(kept)
    used = len(cells) // CELL_BYTES
    free = room(used, len(kept) == length)
    made = Header(head.complete, len(kept), head.generation + 1, used, used, used + free, floor)
    return made.pack() + cells + bytes(free * CELL_BYTES)


def _cells(stored: bytes, start: int = 0) -> bytes:
    """The used cells from number ``start`` on."""
    used = read_header(stored).used
    return stored[HEADER_BYTES + start * CELL_BYTES : HEADER_BYTES + used * CELL_BYTES]


class MemoryStore:
    """The data, and the commands on it; ``clock`` answers milliseconds and drives expiry."""

    def __init__(self, clock: Callable[[], int] = lambda: 0) -> None:
        self._clock = clock
        self._values: dict[bytes, Value] = {}
        self._expiry: dict[bytes, int] = {}
        self._functions: dict[str, Callable[[list[bytes], list[bytes]], Any]] = {
            "deliver": self._deliver,
            "append_outbox": self._append_outbox,
            "newest_entries": self._newest_entries,
            "activate": self._activate,
            "open_home": self._open_home,
            "fill_home": self._fill_home,
            "put_versioned": self._put_versioned,
            "replace_score": self._replace_score,
            "unmark_pulled_share": self._unmark_pulled_share,
            "stamps": self._stamps,
            "append_newest": self._append_newest,
        }

    def _find(self, key: bytes) -> Value | None:
        if key in self._expiry and self._expiry[key] <= self._clock():
            self._forget(key)
        return self._values.get(key)

    def _forget(self, key: bytes) -> bool:
        self._expiry.pop(key, None)
        return self._values.pop(key, None) is not None

    def _string(self, key: bytes) -> bytes | None:
        value = self._find(key)
        if value is not None and not isinstance(value, bytes):
            raise TypeError(f"{key!r} does not hold a string.")
        return value

    def _zset(self, key: bytes) -> dict[bytes, float]:
        value = self._find(key)
        if value is None:
            value = self._values[key] = {}
        if not isinstance(value, dict):
            raise TypeError(f"{key!r} does not hold a sorted set.")
        return value

    def _members(self, key: bytes) -> Members:
        value = self._find(key)
        if value is None:
            value = self._values[key] = set()
        if not isinstance(value, set):
            raise TypeError(f"{key!r} does not hold a set.")
        return value

    def get(self, key: str) -> bytes | None:
        return self._string(_bytes(key))

    def mget(self, keys: list[str]) -> list[bytes | None]:
        return [self.get(key) for key in keys]

    def execute_command(self, name: str, *args: Any) -> Any:
        """A command by its name."""
        if name != "MGET":
            raise ValueError(f"The twin knows no command {name} by name.")
        return self.mget(list(args))

    def getex(self, key: str, px: int) -> bytes | None:
        value = self.get(key)
        if value is not None:
            self._expiry[_bytes(key)] = self._clock() + px
        return value

    def set(
        self,
        key: str | bytes,
        value: bytes | str,
        nx: bool = False,
        px: int | None = None,
        keepttl: bool = False,
    ) -> bool | None:
        name = _bytes(key)
        if nx and self._find(name) is not None:
            return None
        self._values[name] = _bytes(value)
        if px is not None:
            self._expiry[name] = self._clock() + px
        elif not keepttl:
            self._expiry.pop(name, None)
        return True

    def getrange(self, key: str, start: int, end: int) -> bytes:
        stored = self.get(key) or b""
        return stored[max(start, -len(stored)) if start < 0 else start : None if end == -1 else end + 1]

    def delete(self, *keys: str) -> int:
        return sum(self._find(_bytes(key)) is not None and self._forget(_bytes(key)) for key in keys)

    def pttl(self, key: str) -> int:
        if self._find(_bytes(key)) is None:
            return -2
        return self._expiry.get(_bytes(key), self._clock() - 1) - self._clock()

    def pexpire(self, key: str, ms: int) -> bool:
        if self._find(_bytes(key)) is None:
            return False
        self._expiry[_bytes(key)] = self._clock() + ms
        return True

    def keys_from(self, prefix: str) -> list[bytes]:
        return [key for key in list(self._values) if key.startswith(prefix.encode()) and self._find(key)]

    def flushdb(self) -> bool:
        self._values.clear()
        self._expiry.clear()
        return True

    def incr(self, key: str) -> int:
        number = int(self.get(key) or 0) + 1
        self.set(key, str(number), keepttl=True)
        return number

    def zadd(self, key: str, mapping: Mapping[str, float], gt: bool = False) -> int:
        scores, added = self._zset(_bytes(key)), 0
        for member, score in mapping.items():
            old = scores.get(_bytes(member))
            added += old is None
            if old is None or not gt or score > old:
                scores[_bytes(member)] = float(score)
        return added

    def zscore(self, key: str, member: str | int) -> float | None:
        return self._zset(_bytes(key)).get(_bytes(member))

    def zmscore(self, key: str, members: list[str | int]) -> list[float | None]:
        return [self.zscore(key, member) for member in members]

    def zrange(self, key: str, start: int, end: int, withscores: bool = False) -> list[Any]:
        ranked = sorted(self._zset(_bytes(key)).items(), key=lambda item: (item[1], item[0]))
        first = max(start, -len(ranked)) if start < 0 else start
        chosen = ranked[first : None if end == -1 else end + 1]
        return list(chosen) if withscores else [member for member, _ in chosen]

    def zremrangebyrank(self, key: str, start: int, end: int) -> int:
        members = self.zrange(key, start, -1)[: end + 1 if end >= 0 else end + 1 or None]
        scores = self._zset(_bytes(key))
        for member in members:
            del scores[member]
        return len(members)

    def sadd(self, key: str | bytes, *members: str | int | bytes) -> int:
        known = self._members(_bytes(key))
        new = {_bytes(member) for member in members} - known
        known |= new
        return len(new)

    def srem(self, key: str | bytes, *members: str | int | bytes) -> int:
        known = self._members(_bytes(key))
        gone = {_bytes(member) for member in members} & known
        known -= gone
        return len(gone)

    def scard(self, key: str) -> int:
        return len(self._members(_bytes(key)))

    def smembers(self, key: str) -> Members:
        return self._members(_bytes(key)).copy()

    def function_load(self, code: str, replace: bool = False) -> str:
        """The functions are built in."""
        return "tideline"

    def fcall(self, function: str, numkeys: int, *keys_and_args: str | bytes | int) -> Any:
        given = [_bytes(item) for item in keys_and_args]
        return self._functions[function](given[:numkeys], given[numkeys:])

    def _deliver(self, keys: list[bytes], args: list[bytes]) -> int:
        length, slack, appended = int(args[0]), int(args[1]), 0
        for tail_key, blob in zip(keys, args[2:], strict=True):
            tail = self._string(tail_key)
            if tail is None:
                continue
            if not blob and tail[:4] != TAIL_MAGIC:
                self._forget(tail_key)
                continue
            appended += 1
            tail = self._values[tail_key] = tail + blob
            if len(tail) > CELL_BYTES * (1 + spread(slack, tail_key[-2], tail_key[-3])):
                key = tail_key[:-1]
                home = timeline.decode_home(self._string(key), tail)
                if home is None:
                    self._forget(key)
                    self._forget(tail_key)
                else:
                    head = Header(home.complete, generation=home.generation, floor=home.floor)
                    self._put_home(
                        key, tail_key, _settled(head, home.entries, length, _no_room), keepttl=True
                    )
        return appended

    def _put_home(self, key: bytes, tail_key: bytes, stored: bytes, **options: Any) -> None:
        self.set(key, stored, **options)
        self.set(tail_key, timeline.tail_head(read_header(stored).generation), **options)

    def _append_outbox(self, keys: list[bytes], args: list[bytes]) -> int:
        length, slack = int(args[0]), int(args[1])
        for key, blob in zip(keys, args[2:], strict=True):
            stored = self._string(key)
            head = Header(complete=True, capacity=-1) if stored is None else read_header(stored)
            after = head.used + len(blob) // CELL_BYTES
            cells = b"" if stored is None else _cells(stored)
            if after <= head.capacity:
                free = bytes((head.capacity - after) * CELL_BYTES)
                self._values[key] = replace(head, used=after).pack() + cells + blob + free
            else:
                entries = unpack_cells(cells + blob)
                self._values[key] = _settled(head, entries, length, _outbox_room(key, slack))
        return len(keys)

    def _newest_entries(self, keys: list[bytes], args: list[bytes]) -> list[bytes | None]:
        length, slack, wanted = (int(arg) for arg in args)
        answers: list[bytes | None] = []
        for key in keys:
            stored = self._string(key)
            if stored is not None and read_header(stored).used != read_header(stored).sorted_cells:
                entries = unpack_cells(_cells(stored))
                stored = self._values[key] = _settled(
                    read_header(stored), entries, length, _outbox_room(key, slack)
                )
            if stored is None:
                answers.append(None)
                continue
            tail = _cells(stored, max(read_header(stored).used - wanted, 0))
            if tail and tail[8] >= SECOND:
                tail = tail[CELL_BYTES:]
            answers.append(stored[:HEADER_BYTES] + tail)
        return answers

    def _activate(self, keys: list[bytes], args: list[bytes]) -> int:
        made = 0
        for key, tail_key, reader in zip(keys[1::2], keys[2::2], args[1:], strict=True):
            if self.sadd(keys[0], reader) and self._string(key) is None:
                self._put_home(key, tail_key, Header(complete=True).pack(), px=int(args[0]))
                made += 1
        return made

    def _open_home(self, keys: list[bytes], args: list[bytes]) -> list[bytes | None] | None:
        home = timeline.decode_home(self._string(keys[0]), self._string(keys[1]))
        if home is not None and home.complete and home.generation != int(args[4]):
            return None
        if not self.set(keys[3], args[2], nx=True, px=int(args[3])):
            return None
        self.sadd(keys[2], args[1])
        if home is None:
            self._put_home(keys[0], keys[1], Header(complete=False).pack(), px=int(args[0]))
        for key in keys[:2]:
            self._expiry[key] = self._clock() + int(args[0])
        return [self._string(key) for key in keys[:2]]

    def _fill_home(self, keys: list[bytes], args: list[bytes]) -> int:
        expiry, length, generation, seen = (int(arg) for arg in args[:4])
        floor = int.from_bytes(args[4], "big")
        if self._string(keys[2]) != args[6]:
            return 0
        self._forget(keys[2])
        stored, tail = self._string(keys[0]), self._string(keys[1])
        if stored is None or tail is None:
            return 0
        head = read_header(stored)
        if head.generation == generation:
            rest = tail[CELL_BYTES * (1 + seen) :]
        else:
            rest, floor = stored[HEADER_BYTES:] + tail[CELL_BYTES:], max(floor, head.floor)
        head = Header(complete=True, generation=head.generation, floor=floor)
        filled = _settled(head, unpack_cells(args[5] + rest), length, _no_room)
        self._put_home(keys[0], keys[1], filled, px=expiry)
        return 1

    def _put_versioned(self, keys: list[bytes], args: list[bytes]) -> int:
        written = 0
        for key, value in zip(keys, args, strict=True):
            stored = self._string(key)
            if stored is None or value[:8] >= stored[:8]:
                written += bool(self.set(key, value, keepttl=True))
        return written

    def _replace_score(self, keys: list[bytes], args: list[bytes]) -> int:
        scores = self._zset(keys[0])
        if scores.get(args[0]) != float(args[1]):
            return 0
        scores[args[0]] = float(args[2])
        return 1

    def _unmark_pulled_share(self, keys: list[bytes], args: list[bytes]) -> int:
        shares, gone = self._members(keys[1]), 0
        for author in args[3:]:
            self.srem(keys[1], author + b":" + args[1])
            if not any(author + b":%d" % share in shares for share in range(int(args[2]))):
                gone += self.srem(keys[0], author)
        self.set(keys[2], args[0])
        return gone

    def _stamps(self, keys: list[bytes], args: list[bytes]) -> list[bytes]:
        return [
            (self._string(key) or b"")[8:HEADER_BYTES] + b"%d" % len(self._string(key + b"+") or b"")
            for key in keys
        ]

    def _append_newest(self, keys: list[bytes], args: list[bytes]) -> int:
        newest = int(args[1])
        whole = (self._string(keys[0]) or b"") + args[0]
        self._values[keys[0]] = whole[-newest:] if len(whole) > 2 * newest else whole
        self._expiry[keys[0]] = self._clock() + int(args[2])
        return len(self._values[keys[0]])


class MemoryRedis:
    """Synchronous client of a :class:`MemoryStore`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def __getattr__(self, command: str) -> Callable[..., Any]:
        return getattr(self._store, command)  # type: ignore[no-any-return]

    def pipeline(self, transaction: bool = True) -> _Pipeline:
        return _Pipeline(self._store)

    def close(self) -> None:
        """Nothing is open."""


class AsyncMemoryRedis:
    """Asyncio client of a :class:`MemoryStore`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def __getattr__(self, command: str) -> Callable[..., Any]:
        method = getattr(self._store, command)

        async def call(*args: Any, **options: Any) -> Any:
            return method(*args, **options)

        return call

    def pipeline(self, transaction: bool = True) -> _AsyncPipeline:
        return _AsyncPipeline(self._store)

    async def scan_iter(self, match: str, count: int) -> AsyncIterator[bytes]:
        """The keys that begin as ``match`` does before its closing ``*``."""
        for key in self._store.keys_from(match.removesuffix("*")):
            yield key

    async def aclose(self) -> None:
        """Nothing is open."""


class _Commands:
    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._queued: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __getattr__(self, command: str) -> Callable[..., None]:
        def queue(*args: Any, **options: Any) -> None:
            self._queued.append((command, args, options))

        return queue

    def _run(self) -> list[Any]:
        queued, self._queued = self._queued, []
        return [getattr(self._store, command)(*args, **options) for command, args, options in queued]


class _Pipeline(_Commands):
    def execute(self) -> list[Any]:
        return self._run()


class _AsyncPipeline(_Commands):
    async def execute(self) -> list[Any]:
        return self._run()
