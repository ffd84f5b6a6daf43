from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timelines.entry import (
    FOLLOWERS_ONLY,
    REPLY,
    RETWEET,
    WITHDRAWN,
    EntryError,
    entries,
    entry,
    pack,
    unpack,
)
from timelines.timeline import TimelineFormatError, decode, header, newest

# Layout version 1 as it stands in stores: change it only together with the version.
STORED_ENTRY = bytes.fromhex(
    "1122334455667788 09ffeeddccbbaa99 0fedcba987654321 00123456789abcde".replace(" ", "")
)
STORED_HEADER = bytes.fromhex(
    "544c494e 01 01 0000 00000007 00000000 1122334455667788 0000000000000000".replace(" ", "")
)

users = st.integers(0, 2**56 - 1)
ids = st.integers(1, 2**63 - 1)


def test_the_stored_entry_of_version_1_is_read_and_written() -> None:
    row = (0x1122334455667788, 0xFFEEDDCCBBAA99, 0x0FEDCBA987654321, 0x123456789ABCDE, RETWEET | WITHDRAWN)
    assert unpack(STORED_ENTRY).tolist() == [(*row, False)]
    assert pack(entries([row])) == STORED_ENTRY


def test_the_stored_header_of_version_1_is_read_and_written() -> None:
    assert header(complete=True, generation=7, floor=0x1122334455667788) == STORED_HEADER
    read = decode(STORED_HEADER + STORED_ENTRY)
    assert (read.complete, read.generation, read.floor) == (True, 7, 0x1122334455667788)
    assert read.stored_bytes == 64
    assert len(read.entries) == 1


@given(st.lists(st.tuples(ids, users, ids, users, st.integers(0, 15)), max_size=20))
def test_packing_keeps_every_field(rows: list[tuple[int, int, int, int, int]]) -> None:
    assert unpack(pack(entries(rows))).tolist() == [(*row, False) for row in rows]


@pytest.mark.parametrize(
    "row",
    [(0, 1, 1, 1), (1, 2**56, 1, 1), (1, 1, 2**63, 1), (1, 1, 1, -1), (2**63, 1, 1, 1)],
)
def test_ids_that_do_not_fit_are_refused(row: tuple[int, int, int, int]) -> None:
    with pytest.raises(EntryError, match="does not fit"):
        entry(*row)


def test_broken_entries_are_refused() -> None:
    with pytest.raises(EntryError, match="33 bytes are not a whole number"):
        unpack(b"x" * 33)


@pytest.mark.parametrize("stored", [b"", b"short", b"XXXX" + bytes(28)])
def test_foreign_bytes_are_no_timeline(stored: bytes) -> None:
    with pytest.raises(TimelineFormatError, match="not a timeline"):
        decode(stored)


def test_another_layout_version_is_refused() -> None:
    with pytest.raises(TimelineFormatError, match="version 2 is not 1"):
        decode(STORED_HEADER[:4] + b"\x02" + STORED_HEADER[5:])


def test_flags_are_single_bits_that_fit_a_byte() -> None:
    assert RETWEET | REPLY | FOLLOWERS_ONLY | WITHDRAWN == 15


def test_newest_prefers_the_withdrawn_copy_and_cuts_by_id() -> None:
    found = newest(entries([(2, 1, 2, 1, 0), (3, 1, 3, 1, 0), (2, 1, 2, 1, WITHDRAWN), (1, 1, 1, 1, 0)]), 2)
    assert found[["appearance", "flags"]].tolist() == [(3, 0), (2, WITHDRAWN)]
