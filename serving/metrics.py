"""What the ranking service measures about itself, in Prometheus form.

Safe with several worker processes: the launcher sets ``PROMETHEUS_MULTIPROC_DIR`` to an empty folder before
it starts them, and any worker then answers for all. No user or tweet ids in labels.
"""

from __future__ import annotations

import os
import time
from http import HTTPMethod
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.feed.answer import Answer
from serving.live.metrics import LiveMetrics
from serving.shapes import BreakerState

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5)
STAGE_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5)
CANDIDATE_BUCKETS = (0, 10, 25, 50, 100, 200, 400, 600, 800)
SHARE_BUCKETS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
MULTIPROCESS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


class BreakerMetrics:
    """What the circuit breakers of one process do."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._states = Gauge(
            "tideline_breaker_state",
            "Worker processes whose circuit breaker is in this state.",
            ("dependency", "state"),
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._transitions = Counter(
            "tideline_breaker_transitions_total",
            "Circuit breakers that went from one state to another.",
            ("dependency", "before", "after"),
            registry=registry,
        )
        self._refused = Counter(
            "tideline_breaker_refused_total",
            "Calls that were not made because the circuit breaker was open.",
            ("dependency",),
            registry=registry,
        )

    def watches(self, dependency: str) -> None:
        for state in get_args(BreakerState):
            self._states.labels(dependency, state).set(state == "closed")
        self._refused.labels(dependency)

    def moved(self, dependency: str, before: BreakerState, after: BreakerState) -> None:
        self._states.labels(dependency, before).set(0)
        self._states.labels(dependency, after).set(1)
        self._transitions.labels(dependency, before, after).inc()

    def refused(self, dependency: str) -> None:
        self._refused.labels(dependency).inc()


class ServingMetrics:
    """The series of one app; each app has a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.live = LiveMetrics(self.registry)
        self.breakers = BreakerMetrics(self.registry)
        self.requests = Histogram(
            "tideline_request_seconds",
            "Time from request to last byte, by route template.",
            ("method", "route", "status"),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.feeds = Counter(
            "tideline_feed_total",
            "Feed pages by rung of the ladder and the reason for it.",
            ("rung", "reason"),
            registry=self.registry,
        )
        self.stages = Histogram(
            "tideline_feed_stage_seconds",
            "Time of one stage of the candidate pipeline.",
            ("kind", "stage"),
            buckets=STAGE_BUCKETS,
            registry=self.registry,
        )
        self.stage_errors = Counter(
            "tideline_feed_stage_errors_total",
            "Stages that failed and were skipped or replaced.",
            ("kind", "stage"),
            registry=self.registry,
        )
        self.candidates = Histogram(
            "tideline_feed_candidates",
            "Candidates a page was chosen from.",
            ("rung",),
            buckets=CANDIDATE_BUCKETS,
            registry=self.registry,
        )
        self.missing_features = Counter(
            "tideline_feature_rows_missing_total",
            "Feature rows that were absent or stale when a ranking asked for them.",
            ("view",),
            registry=self.registry,
        )
        self.lookups = Counter(
            "tideline_cache_lookups_total",
            "Keys asked of a cache in the process: hits, stale ones renewed in the background, misses.",
            ("cache", "outcome"),
            registry=self.registry,
        )
        self.shadows = Counter(
            "tideline_shadow_pages_total",
            "Pages by what a shadow's scoring of them came to.",
            ("shadow", "outcome"),
            registry=self.registry,
        )
        self.shadow_agreement = Histogram(
            "tideline_shadow_agreement",
            "Share of a page's best, by the model that ranked it, that are the shadow's best as well.",
            ("shadow",),
            buckets=SHARE_BUCKETS,
            registry=self.registry,
        )
        self.side_effect_errors = Counter(
            "tideline_feed_side_effect_errors_total",
            "Side effects of a page that failed.",
            ("side_effect",),
            registry=self.registry,
        )
        self.impressions = Counter(
            "tideline_impressions_total",
            "Impressions handed to the log.",
            registry=self.registry,
        )
        self.impressions_dropped = Counter(
            "tideline_impressions_dropped_total",
            "Impressions that the log did not take.",
            registry=self.registry,
        )

    def count_lookups(self, cache: str, outcome: str, keys: int) -> None:
        """Counts keys asked of a cache."""
        if keys:
            self.lookups.labels(cache, outcome).inc(keys)

    def observe(self, answer: Answer) -> None:
        """Counts one feed page."""
        rung, reason = answer.rung, answer.reason or "none"
        self.feeds.labels(rung, reason).inc()
        self.candidates.labels(rung).observe(answer.candidates)
        for report in answer.reports:
            self.stages.labels(report.kind, report.name).observe(report.ms / 1000)
            if report.error is not None:
                self.stage_errors.labels(report.kind, report.name).inc()

    def exposition(self) -> bytes:
        """All series of all workers in the text format."""
        if os.environ.get(MULTIPROCESS_FOLDER):
            everyone = CollectorRegistry()
            MultiProcessCollector(everyone)  # type: ignore[no-untyped-call]
            return generate_latest(everyone)
        return generate_latest(self.registry)


METHODS = frozenset(method.value for method in HTTPMethod)


class RequestTimer:
    """ASGI middleware that times every request under its route's template."""

    def __init__(self, app: ASGIApp, metrics: ServingMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            method = scope["method"] if scope["method"] in METHODS else "other"
            labels = (method, route, f"{status // 100}xx")
            self._metrics.requests.labels(*labels).observe(time.perf_counter() - started)
