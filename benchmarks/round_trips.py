"""The bare round trips of something: its commands, noted and sent again without the work around them."""

from __future__ import annotations

from typing import Any

Trip = list[tuple[str, tuple[Any, ...], dict[str, Any]]]


class Recorder:
    """A client that notes the commands of each pipeline, and the calls and strings between them."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.trips: list[Trip] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def fcall(self, *args: Any) -> Any:
        self.trips.append([("fcall", args, {})])
        return await self._client.fcall(*args)

    async def set(self, *args: Any, **options: Any) -> Any:
        self.trips.append([("set", args, options)])
        return await self._client.set(*args, **options)

    def pipeline(self, transaction: bool = True) -> Any:
        trip: Trip = []
        self.trips.append(trip)
        return _RecordedPipeline(self._client.pipeline(transaction=transaction), trip)


class _RecordedPipeline:
    def __init__(self, pipe: Any, trip: Trip) -> None:
        self._pipe, self._trip = pipe, trip

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._pipe, name)

        def call(*args: Any, **options: Any) -> Any:
            if name != "execute":
                self._trip.append((name, args, options))
            return method(*args, **options)

        return call


async def replay(client: Any, trips: list[Trip]) -> None:
    """Send the same commands again, and leave the answers alone."""
    for trip in trips:
        pipe = client.pipeline(transaction=False)
        for name, args, options in trip:
            getattr(pipe, name)(*args, **options)
        await pipe.execute()
