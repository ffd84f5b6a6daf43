"""How far the stream jobs are behind the log, by the offsets they commit with each checkpoint."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from confluent_kafka.admin import OffsetSpec

from ingestion.offsets import committed_offsets, offsets
from ingestion.settings import KafkaSettings


@dataclass(frozen=True)
class Lag:
    """Records between the last committed offset and the end of each topic, by consumer group."""

    by_group: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.by_group.values())


def lag_of(settings: KafkaSettings, names_of: Mapping[str, Collection[str]]) -> Lag:
    """The lag of consumer groups; one without a commit lags by the whole log.

    ``names_of`` maps a group to what it reads, by its names on the broker.

    Raises:
        LogUnavailableError: the broker does not answer or a topic does not exist.
    """
    names = sorted({name for read in names_of.values() for name in read})
    ends = offsets(settings, names, OffsetSpec.latest())
    committed = committed_offsets(settings, list(names_of))
    by_group = {}
    for group, read in names_of.items():
        unread = [end - committed[group].get(place, 0) for place, end in ends.items() if place[0] in read]
        by_group[group] = sum(unread)
    return Lag(by_group)
