"""How far the stream jobs are behind the log, by the offsets they commit with each checkpoint."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec


@dataclass(frozen=True)
class Lag:
    """Records between the last committed offset and the end of each topic, by consumer group."""

    by_group: dict[str, int]
    log_end: int

    @property
    def total(self) -> int:
        return sum(self.by_group.values())


class LagReader:
    """Reads the lag of consumer groups; a group without a commit lags by the whole log."""

    def __init__(self, bootstrap: str) -> None:
        self._admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})

    def end_offsets(self, topics: Iterable[str]) -> dict[tuple[str, int], int]:
        """The offset after the last record of every partition."""
        known = self._admin.list_topics(timeout=10).topics
        parts = [TopicPartition(name, number) for name in topics for number in known[name].partitions]
        answers = self._admin.list_offsets({part: OffsetSpec.latest() for part in parts})
        return {(part.topic, part.partition): future.result(10).offset for part, future in answers.items()}

    def behind(self, names_of: Mapping[str, Collection[str]]) -> Lag:
        """``names_of`` maps a consumer group to what it reads, by its names on the broker."""
        ends = self.end_offsets({name for names in names_of.values() for name in names})
        by_group = {}
        for group, names in names_of.items():
            committed = self._committed(group)
            by_group[group] = sum(
                end - max(committed.get(part, 0), 0) for part, end in ends.items() if part[0] in names
            )
        return Lag(by_group, sum(ends.values()))

    def _committed(self, group: str) -> dict[tuple[str, int], int]:
        request = [ConsumerGroupTopicPartitions(group)]
        answer = self._admin.list_consumer_group_offsets(request)[group].result(10)
        return {(part.topic, part.partition): part.offset for part in answer.topic_partitions}
