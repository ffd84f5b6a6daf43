"""The archive job on the embedded mini cluster, bounded input: which rows land in which files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest

from ingestion.dead_letters import DeadLetter
from ingestion.events import (
    BlockChanged,
    ClockAdvanced,
    Event,
    FollowChanged,
    Impression,
    LikeChanged,
    MutedWordsChanged,
    TweetCreated,
    TweetDeleted,
    encode,
)
from ingestion.lake import TOPIC_EVENTS, columns, event_folder, event_types, type_name
from ingestion.lake_events import read_events
from ingestion.topics import ENGAGEMENTS, FOLLOWS, IMPRESSIONS, RESTRICTIONS, TWEETS, Topic

pytestmark = pytest.mark.flink

DAY = 86_400_000
MIDNIGHT = 1_350_000_000_000 // DAY * DAY
SILENT = TweetCreated(event_id="a", ts=MIDNIGHT - 1, tweet_id=2**60 + 1, author_id=1, text=None)
SPOKEN = TweetCreated(
    event_id="b",
    ts=MIDNIGHT,
    tweet_id=2**60 + 2,
    author_id=2**55,
    text="Grüße #a",
    lang="de",
    place="Wien",
    in_reply_to=2**60 + 1,
    hashtags=("a", "b"),
    mentions=(3,),
    media=("https://example.org/x.png",),
)
DELETED = TweetDeleted(event_id="c", ts=MIDNIGHT + DAY, tweet_id=5, author_id=1)
SHOWN = Impression(
    event_id="d",
    ts=MIDNIGHT,
    request_id="r",
    user_id=1,
    tweet_id=2,
    author_id=3,
    position=0,
    source="following",
    rung="full",
    model="m@1",
    score=0.5,
    feature_service="ranking_v1",
    features=(1.0, None, 2.5),
    policy="default-1",
    arm="fewer-topics:steep",
    propensity=0.25,
    latency_ms=12.5,
    alternative=4,
    alternative_author=5,
    alternative_features=(None, 1.0, 2.5),
    alternative_propensity=0.02,
)
LIKED = LikeChanged(event_id="e", ts=MIDNIGHT, user_id=1, tweet_id=2, author_id=3, active=False)
FOLLOWED = FollowChanged(event_id="f", ts=MIDNIGHT, follower_id=1, followee_id=2, active=True)
BLOCKED = BlockChanged(event_id="g", ts=MIDNIGHT, user_id=1, blocked_id=2, active=True)
WORDS = MutedWordsChanged(event_id="h", ts=MIDNIGHT, user_id=1, words=("rain", "#x"))
CLOCK = ClockAdvanced(event_id="clock", ts=MIDNIGHT + 9 * DAY)
MALFORMED = (
    b"no json",
    b"[1, 2]",
    b'{"type": "tweet_created", "event_id": "x", "ts": "soon", "tweet_id": 1, "author_id": 1, "text": ""}',
    encode(DELETED).replace(b'"v":1', b'"v":2'),
    encode(DELETED).replace(b"tweet_deleted", b"tweet_forgotten"),
)
LOG: dict[Topic, list[Event]] = {
    TWEETS: [SILENT, SPOKEN, DELETED, CLOCK],
    IMPRESSIONS: [SHOWN, CLOCK],
    ENGAGEMENTS: [LIKED, CLOCK],
    FOLLOWS: [FOLLOWED, CLOCK],
    RESTRICTIONS: [BLOCKED, WORDS, CLOCK],
}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory, flink_environment: Callable[[], Any]) -> Path:
    from pyflink.table import StreamTableEnvironment

    from pipelines.stream import archive, sql_tables

    folder = tmp_path_factory.mktemp("archive")
    t_env = StreamTableEnvironment.create(flink_environment())
    for topic in TOPIC_EVENTS:
        (folder / topic.name).mkdir()
        lines = [*MALFORMED, *map(encode, LOG.get(topic, []))]
        (folder / topic.name / "log.json").write_bytes(b"\n".join(lines))
        source = {"connector": "filesystem", "path": str(folder / topic.name), **sql_tables.json_format()}
        sql_tables.create_event_table(t_env, topic, source)
    archive.build(t_env, folder / "lake", "test").execute().wait()
    return folder / "lake"


def archived(lake: Path, event: type[Event]) -> dict[str, list[dict[str, Any]]]:
    """Rows by partition folder, in order of event id."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for file in sorted(event_folder(lake, "test", event).glob("day=*/[!._]*")):
        rows.setdefault(file.parent.name, []).extend(pq.ParquetFile(file).read().to_pylist())
    return rows


def as_row(event: Event) -> dict[str, Any]:
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in msgspec.structs.asdict(event).items()
    }


@pytest.mark.parametrize(
    "event", [SHOWN, LIKED, FOLLOWED, BLOCKED, WORDS], ids=lambda event: type_name(type(event))
)
def test_a_row_has_every_field_of_its_event(lake: Path, event: Event) -> None:
    assert archived(lake, type(event)) == {"day=2012-10-12": [as_row(event)]}


@pytest.mark.parametrize(
    "event", [SHOWN, LIKED, FOLLOWED, BLOCKED, WORDS, DELETED], ids=lambda event: type_name(type(event))
)
def test_an_archived_event_is_read_back_as_it_was(lake: Path, event: Event) -> None:
    assert list(read_events(lake, "test", type(event), None, MIDNIGHT + 9 * DAY)) == [event]


def test_archived_events_are_read_back_by_their_moment(lake: Path) -> None:
    assert list(read_events(lake, "test", TweetCreated, None, SPOKEN.ts)) == [SILENT]
    assert list(read_events(lake, "test", TweetCreated, SPOKEN.ts, SPOKEN.ts + 1)) == [SPOKEN]


def test_the_partition_is_the_utc_day_of_event_time(lake: Path) -> None:
    assert archived(lake, TweetCreated) == {
        "day=2012-10-11": [as_row(SILENT)],
        "day=2012-10-12": [as_row(SPOKEN)],
    }


def test_malformed_records_and_unknown_versions_are_left_out(lake: Path) -> None:
    assert archived(lake, TweetDeleted) == {"day=2012-10-13": [as_row(DELETED)]}


def test_the_clock_and_what_did_not_happen_have_no_files(lake: Path) -> None:
    assert {folder.name for folder in (lake / "test").iterdir()} == {
        type_name(event)
        for event in (
            TweetCreated,
            TweetDeleted,
            Impression,
            LikeChanged,
            FollowChanged,
            BlockChanged,
            MutedWordsChanged,
        )
    }


def test_records_of_topics_that_no_other_job_decodes_become_dead_letters(
    flink_environment: Callable[[], Any],
) -> None:
    from pyflink.common import Row

    from pipelines.stream import archive
    from pipelines.stream.connectors import BATCH

    env = flink_environment()
    values = [encode(SHOWN), *MALFORMED, encode(CLOCK)]
    batches = [
        Row(0, "test.impressions", values, [2] * len(values), [*range(len(values))]),
        Row(0, "test.reports", [encode(CLOCK)], [0], [7]),
    ]
    with archive.letters(env.from_collection(batches, type_info=BATCH)).execute_and_collect() as letters:
        found = [msgspec.json.decode(letter, type=DeadLetter) for letter in letters]
    assert [letter.value for letter in found] == [*MALFORMED]
    assert {(letter.topic, letter.partition) for letter in found} == {("test.impressions", 2)}
    assert [letter.offset for letter in found] == [*range(1, 1 + len(MALFORMED))]
    assert any("version" in letter.reason or "`$.v`" in letter.reason for letter in found)


def test_every_archived_type_has_the_columns_of_its_fields() -> None:
    for event in event_types():
        assert {column.name for column in columns(event)} == {
            field.name for field in msgspec.structs.fields(event)
        }
