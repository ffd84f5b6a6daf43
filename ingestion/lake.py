"""The Parquet lake: a folder per event type, a partition per UTC day of event time, a column per field.

``<lake>/<namespace>/<event type>/day=YYYY-MM-DD/<part files>``; without a namespace that level is left
out. Names that start with a dot or an underscore are files still being written. A redelivered event may
be there twice: readers drop rows with the same ``event_id``. Compaction puts a file beside those that it
stands for, which stay for a day (``ingestion.lake_partitions``).
"""

from __future__ import annotations

import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from ingestion.events import (
    AccountRegistered,
    AuthorHidden,
    BlockChanged,
    ClientReport,
    Event,
    FollowChanged,
    Impression,
    LikeChanged,
    MuteChanged,
    MutedWordsChanged,
    RetweetChanged,
    TweetCreated,
    TweetDeleted,
)
from ingestion.topics import ENGAGEMENTS, FOLLOWS, IMPRESSIONS, REPORTS, RESTRICTIONS, TWEETS, USERS, Topic

PARTITION_COLUMN = "day"

TOPIC_EVENTS: dict[Topic, tuple[type[Event], ...]] = {
    USERS: (AccountRegistered,),
    FOLLOWS: (FollowChanged,),
    RESTRICTIONS: (MuteChanged, BlockChanged, MutedWordsChanged, AuthorHidden),
    TWEETS: (TweetCreated, TweetDeleted, RetweetChanged),
    ENGAGEMENTS: (LikeChanged,),
    IMPRESSIONS: (Impression,),
    REPORTS: (ClientReport,),
}

ScalarKind = Literal["string", "long", "double", "boolean"]

_SCALARS: dict[type, ScalarKind] = {str: "string", int: "long", float: "double", bool: "boolean"}


@dataclass(frozen=True)
class Column:
    """``kind`` is the type of the value, or of the elements of an array; ``required`` may not be null."""

    name: str
    kind: ScalarKind
    array: bool
    required: bool


def type_name(event_type: type[Event]) -> str:
    """The tag that stands in an event's ``type`` field, and the name of its folder."""
    return str(event_type.__struct_config__.tag)


def event_types() -> tuple[type[Event], ...]:
    """Every event type that the lake keeps."""
    return tuple(event_type for types_of_topic in TOPIC_EVENTS.values() for event_type in types_of_topic)


def columns(event_type: type[Event]) -> tuple[Column, ...]:
    """The columns of an event type's files, in the order of its fields (without ``day``)."""
    hints = get_type_hints(event_type)
    return tuple(
        _column(field.name, hints[field.name], required=field.required)
        for field in msgspec.structs.fields(event_type)
    )


def event_folder(lake: Path, namespace: str, event_type: type[Event]) -> Path:
    """Where the partitions of an event type are."""
    root = lake / namespace if namespace else lake
    return root / type_name(event_type)


def _column(name: str, hint: Any, *, required: bool) -> Column:
    if get_origin(hint) in (Union, types.UnionType):
        required = False
        (hint,) = (option for option in get_args(hint) if option is not type(None))
    if get_origin(hint) is tuple:
        element = _column(name, get_args(hint)[0], required=required)
        return Column(name, element.kind, array=True, required=required)
    if get_origin(hint) is Literal:
        hint = type(get_args(hint)[0])
    return Column(name, _SCALARS[hint], array=False, required=required)
