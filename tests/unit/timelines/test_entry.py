from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timelines.cells import pack_cells, unpack_cells, unpack_newest
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
from timelines.timeline import Header, TimelineFormatError, decode, newest, read_header

FIXTURES = Path(__file__).parent / "fixtures"
PACKED_ENTRY = bytes.fromhex(
    "1122334455667788 09ffeeddccbbaa99 0fedcba987654321 00123456789abcde".replace(" ", "")
)
RETWEETED = (0x1122334455667788, 0xFFEEDDCCBBAA99, 0x0FEDCBA987654321, 0x123456789ABCDE, RETWEET | WITHDRAWN)
OWN = (0x1122334455667799, 7, 0x1122334455667799, 7, REPLY)


def stored(version: int) -> bytes:
    """A timeline as it stands in stores of that layout: change it only together with the version."""
    return bytes.fromhex((FIXTURES / f"timeline_v{version}.hex").read_text())


users = st.integers(0, 2**56 - 1)
ids = st.integers(1, 0x7FEF_FFFF_FFFF_FFFF)


def test_the_packed_entry_between_jobs_is_read_and_written() -> None:
    assert unpack(PACKED_ENTRY).tolist() == [(*RETWEETED, False)]
    assert pack(entries([RETWEETED])) == PACKED_ENTRY


@pytest.mark.parametrize("version", [1, 2])
def test_a_stored_timeline_of_every_version_is_read(version: int) -> None:
    read = decode(stored(version))
    assert (read.complete, read.generation, read.floor) == (True, 7, 0x1122334455667700)
    assert read.entries.tolist() == [(*RETWEETED, False), (*OWN, False)]


def test_a_timeline_of_version_2_is_written() -> None:
    header = Header(
        complete=True,
        sorted_entries=1,
        generation=7,
        used=3,
        sorted_cells=2,
        capacity=5,
        floor=0x1122334455667700,
    )
    cells, places = pack_cells(entries([RETWEETED, OWN]))
    assert header.pack() + cells + bytes(32) == stored(2)
    assert places.tolist() == [0, 32, 48]
    assert read_header(stored(2)) == header


@given(st.lists(st.tuples(ids, users, ids, users, st.integers(0, 15)), max_size=20))
def test_packing_keeps_every_field(rows: list[tuple[int, int, int, int, int]]) -> None:
    expected = [(*row, False) for row in rows]
    assert unpack(pack(entries(rows))).tolist() == expected
    assert unpack_cells(pack_cells(entries(rows))[0]).tolist() == expected


@given(
    st.lists(st.tuples(ids, users, ids, users, st.integers(0, 15)), max_size=20, unique_by=lambda row: row[0])
)
def test_the_newest_cells_are_the_newest_entries(rows: list[tuple[int, int, int, int, int]]) -> None:
    made = entries(rows)
    for length in (1, 5, 20):
        assert unpack_newest(pack_cells(made)[0], length).tolist() == newest(made, length).tolist()


@pytest.mark.parametrize("broken", [b"x" * 17, bytes(8) + b"\x80" + bytes(7)])
def test_broken_cells_are_refused(broken: bytes) -> None:
    with pytest.raises(EntryError):
        unpack_cells(broken)


@pytest.mark.parametrize(
    "row",
    [(0, 1, 1, 1), (1, 2**56, 1, 1), (1, 1, 2**63, 1), (1, 1, 1, -1), (0x7FF0 << 48, 1, 1, 1)],
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
    with pytest.raises(TimelineFormatError, match="version 3 is not one of 1 and 2"):
        decode(stored(2)[:4] + b"\x03" + stored(2)[5:])


def test_flags_are_single_bits_that_fit_a_byte() -> None:
    assert RETWEET | REPLY | FOLLOWERS_ONLY | WITHDRAWN == 15


def test_newest_prefers_the_withdrawn_copy_and_cuts_by_id() -> None:
    found = newest(entries([(2, 1, 2, 1, 0), (3, 1, 3, 1, 0), (2, 1, 2, 1, WITHDRAWN), (1, 1, 1, 1, 0)]), 2)
    assert found[["appearance", "flags"]].tolist() == [(3, 0), (2, WITHDRAWN)]
