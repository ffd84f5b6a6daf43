"""What the streams measure about themselves."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

ROUND_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class LiveMetrics:
    """The series of one app."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.open = Gauge(
            "tideline_streams_open",
            "Streams of server-sent events that are open.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.ended = Counter(
            "tideline_streams_ended_total",
            "Streams that ended, by why: slow readers were dropped.",
            ("reason",),
            registry=registry,
        )
        self.events = Counter(
            "tideline_stream_events_total",
            "Events put on streams.",
            ("event",),
            registry=registry,
        )
        self.rounds = Histogram(
            "tideline_stream_round_seconds",
            "Time of one look at the store for all streams of a worker.",
            buckets=ROUND_BUCKETS,
            registry=registry,
        )
        self.failures = Counter(
            "tideline_stream_rounds_failed_total",
            "Looks at the store that failed.",
            registry=registry,
        )
