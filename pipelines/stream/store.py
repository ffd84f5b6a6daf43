"""The timeline store as a stream job sees it: where it is, and one pipeline of writes at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pipelines.settings import StreamSettings
from timelines import functions
from timelines.client import open_client
from timelines.delivery import deliver
from timelines.entry import Entries, Ids
from timelines.keys import Keyspace
from timelines.settings import UNNAMED, Projections, RedisSettings, TimelineSettings

TIMEOUT_S, CONNECT_TIMEOUT_S, RETRIES = 30, 5, 5


@dataclass(frozen=True)
class StoreAddress:
    """What an operator carries to the cluster to reach the store."""

    redis: RedisSettings
    timelines: TimelineSettings
    namespace: str
    projections: Projections = UNNAMED

    @classmethod
    def of(cls, settings: StreamSettings) -> StoreAddress:
        return cls(settings.redis, settings.timelines, settings.namespace, settings.projections)

    @property
    def keys(self) -> Keyspace:
        return Keyspace.of(self)


class Store:
    """A connection; open it in the operator's ``open``, close it in its ``close``."""

    def __init__(self, address: StoreAddress) -> None:
        self.keys = address.keys
        self.settings = address.timelines
        self._client = open_client(
            address.redis, timeout_s=TIMEOUT_S, connect_timeout_s=CONNECT_TIMEOUT_S, retries=RETRIES
        )
        functions.load(self._client)

    def load(self, load: Callable[[Any], None]) -> None:
        """Have more server-side functions loaded through this connection."""
        load(self._client)

    @contextmanager
    def pipeline(self) -> Iterator[Any]:
        """Commands sent together when the block ends.

        Raises:
            redis.exceptions.RedisError: the store did not answer, or refused a command: the batch fails and
                is repeated from the last checkpoint.
        """
        pipe = self._client.pipeline(transaction=False)
        yield pipe
        pipe.execute()

    def deliver(self, readers: Ids, entries: Entries, *, again: bool) -> None:
        """:func:`timelines.delivery.deliver`, with its errors."""
        deliver(self._client, self.keys, self.settings, readers, entries, again=again)

    def close(self) -> None:
        self._client.close()
