"""What a reader was served and has seen lately, over the in-memory store, a Valkey and a cluster."""

from __future__ import annotations

from typing import Any

import numpy as np

from timelines import lately
from timelines.lately import SEEN, SERVED, Kind

NOW_MS, STRETCH_MS = 1_700_000_000_000, SEEN.stretch_ms
EARLIER = NOW_MS - STRETCH_MS


def read(store: Any, kind: Kind, now_ms: int, reader: int = 1) -> Any:
    async def ask(client: Any) -> Any:
        pipe = client.pipeline(transaction=False)
        lately.queue(pipe, store.keys, kind, reader, now_ms)
        return lately.decode(kind, await pipe.execute())

    return store.run(ask)


def seen(store: Any, ids: list[int], now_ms: int) -> None:
    pipe = store.client.pipeline(transaction=False)
    lately.note_seen(pipe, store.keys, 1, np.array(ids), now_ms)
    pipe.execute()


def test_nothing_is_known_of_a_reader_who_saw_nothing(store: Any) -> None:
    assert len(read(store, SEEN, NOW_MS)) == 0


def test_what_was_seen_is_known_through_this_stretch_and_the_next(store: Any) -> None:
    seen(store, [10, 11], EARLIER)
    seen(store, [12], NOW_MS)
    seen(store, [13], NOW_MS + 1)
    assert read(store, SEEN, NOW_MS)["original"].tolist() == [10, 11, 12, 13]
    assert read(store, SEEN, NOW_MS + STRETCH_MS)["original"].tolist() == [12, 13]
    assert len(read(store, SEEN, NOW_MS + 2 * STRETCH_MS)) == 0
    assert len(read(store, SEEN, NOW_MS, reader=2)) == 0


def test_served_items_keep_their_author_and_topics(store: Any) -> None:
    records = np.array([(10, 7, (5, -1), NOW_MS), (11, 8, (-1, -1), NOW_MS)], dtype=SERVED.form)
    pipe = store.client.pipeline(transaction=False)
    lately.note(pipe, store.keys, SERVED, 1, records, NOW_MS)
    pipe.execute()
    assert read(store, SERVED, NOW_MS).tobytes() == records.tobytes()


def test_the_strings_expire(store: Any) -> None:
    seen(store, [10], NOW_MS)
    assert 0 < store.client.pttl(store.keys.key("seen", 1, NOW_MS // STRETCH_MS)) <= 2 * STRETCH_MS


def test_a_string_never_grows_beyond_twice_of_what_is_read(store: Any) -> None:
    key = store.keys.key("seen", 1, NOW_MS // STRETCH_MS)
    most = lately.NEWEST * SEEN.form.itemsize
    for start in range(0, 10_000, 1000):
        seen(store, list(range(start, start + 1000)), NOW_MS)
        assert len(store.client.get(key)) <= 2 * most
    found = read(store, SEEN, NOW_MS)["original"].tolist()
    assert found == list(range(10_000 - len(found), 10_000))
    assert len(found) == lately.NEWEST


def test_only_the_newest_are_read_and_a_torn_end_is_left_out(store: Any) -> None:
    seen(store, list(range(lately.NEWEST + 5)), NOW_MS)
    found = read(store, SEEN, NOW_MS)
    assert (len(found), int(found["original"][0])) == (lately.NEWEST, 5)
    assert lately.decode(SEEN, [b"torn", b"\x07" + bytes(20)])["original"].tolist() == [7]
