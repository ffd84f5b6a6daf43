"""The demo, on one page: servers, events, jobs, features, model, feed, figures.

Each step is a command that can be run alone. Where a dataset was replayed before, the run starts from what
is there: the servers, the jobs from their checkpoints, and the feed.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console

from ingestion.datasets.registry import open_dataset
from ingestion.tokens import mint
from ingestion.world.plan import WorldPlan
from pipelines.settings import StreamSettings
from stack import catching_up
from stack.bring_up import bring_up
from stack.commands.replay import dataset_directory, parse_speed
from stack.demo import store_figures
from stack.demo.done import Done
from stack.demo.probe import FeedClient, feed_latency, freshness, post_and_like, seconds_until
from stack.demo.report import DemoReport
from stack.demo.steps import step, tideline, tideline_json
from stack.errors import UserError
from stack.jobs import stream_jobs
from stack.lifecycle import layout_of
from stack.settings import StackSettings
from stack.survey import survey
from stack.wanted import WantedJob
from timelines.client import open_client
from timelines.keys import Keyspace

FRESHNESS_SAMPLES = 30
LATENCY_REQUESTS = 200
LATENCY_READERS = 20
VERIFIED_VIEWERS = 500
READY_SECONDS = 90


@dataclass(frozen=True)
class DemoOptions:
    """The thresholds are set low enough that pushed, throttled and pulled authors all occur in number."""

    dataset: str
    speed: str
    users: int
    days: int
    seed: int
    push_below: int
    pull_above: int

    def check(self) -> None:
        """Say what is wrong with the options before anything is started.

        Raises:
            UserError: the speed is no number.
            DatasetError: there is no such dataset, or its files are missing or lack columns.
            WorldError: the sizes of the world are out of range.
        """
        parse_speed(self.speed)
        if self.pull_above < self.push_below:
            raise UserError(
                f"--pull-above {self.pull_above} is below --push-below {self.push_below}: raise the one or "
                "lower the other."
            )
        if self.dataset == "synthetic":
            WorldPlan(seed=self.seed, users=self.users, days=self.days)
        else:
            open_dataset(self.dataset, dataset_directory(self.dataset))


def run_demo(options: DemoOptions, console: Console) -> DemoReport:
    """Run every step; the stack stays up afterwards.

    Raises:
        UserError: a step failed.
        ProbeError: what was posted did not show.
    """
    report = DemoReport(options.dataset)
    settings = StackSettings()
    done = Done(settings.home / "demo" / f"{options.dataset}.json", asdict(options))
    with step(report, console, "up", "Starting Kafka, Valkey, PostgreSQL, Flink, MLflow and the API"):
        bring_up(
            settings,
            options.dataset,
            (),
            (),
            dev_login=True,
            echo=console.print,
            push_below=options.push_below,
            pull_above=options.pull_above,
        )
    if "replay" not in done.parts:
        _fill(options, report, console)
        done.add("replay")
    if "model" not in done.parts:
        _learn(options, report, console)
        done.add("model")
    _measure(report, console)
    report.write(settings.home)
    return report


def _fill(options: DemoOptions, report: DemoReport, console: Console) -> None:
    """From the dataset to timelines, counts, trends and the lake."""
    with step(report, console, "jobs", "Submitting the Flink jobs"):
        tideline("jobs", "submit")
    with step(report, console, "replay", f"Replaying {options.dataset} into Kafka"):
        figures = tideline_json(*_replay_arguments(options))
        report.events = figures["by_type"]
        report.events_per_second = figures["events_per_second"]
    with step(
        report, console, "catch_up", "Waiting until every job has read the log and passed a checkpoint"
    ):
        report.catch_up_seconds = catching_up.wait(StreamSettings(), _jobs(), console)


def _learn(options: DemoOptions, report: DemoReport, console: Console) -> None:
    """From the lake to a champion in the registry, and the feeds checked."""
    with step(report, console, "features", "Spark: offline features and training examples"):
        report.feature_rows = tideline_json("features", "build")["rows"]
        report.examples = report.feature_rows.pop("training_examples")
    with step(report, console, "materialize", "Feast: apply and materialize to the online store"):
        tideline("features", "apply")
        tideline("features", "materialize")
    with step(report, console, "train", "LightGBM: the heads against the baselines"):
        if report.examples:
            report.model = tideline_json("train", may_refuse=True)
        else:
            report.model_note = (
                "none: this dataset has no impressions to learn from; the feed is chronological"
            )
    with step(report, console, "verify", "Feeds against a plain fold of the log"):
        report.verify = tideline_json(
            "verify",
            "--dataset",
            options.dataset,
            "--viewers",
            str(VERIFIED_VIEWERS),
            may_refuse=True,
        )
    if wrong := sum(report.verify[kind] for kind in ("missing", "extra", "duplicates")):
        raise UserError(f"{wrong} feed entries differ from the fold of the log.")


def _replay_arguments(options: DemoOptions) -> list[str]:
    arguments = ["replay", "--dataset", options.dataset, "--speed", options.speed]
    if options.dataset != "synthetic":
        return arguments
    folder = Path(StackSettings().home) / "worlds" / f"{options.seed}-{options.users}-{options.days}"
    if not folder.exists():
        shape = {"seed": options.seed, "users": options.users, "days": options.days}
        flags = [word for name, value in shape.items() for word in (f"--{name}", str(value))]
        tideline("world", *flags, "--out", str(folder))
    return [*arguments, "--dir", str(folder)]


def _measure(report: DemoReport, console: Console) -> None:
    """The service as its clients see it, and what it takes."""
    settings, stack = StreamSettings(), StackSettings()
    keys = Keyspace.of(settings)
    redis = open_client(settings.redis, timeout_s=30, connect_timeout_s=5, retries=0)

    def audit_token(user: int) -> str:
        return mint(settings.security, user, int(time.time()), audit=True)

    with FeedClient(stack.api.url, audit_token) as client:
        with step(report, console, "ready", "Waiting for the ranking service"):
            seconds_until(client.ready, "The ranking service", READY_SECONDS)
            readers = store_figures.busiest_readers(redis, keys, LATENCY_READERS)
            if not readers:
                raise UserError("Nobody follows anybody in this dataset, so there is no feed to show.")
            if report.model and report.model["model"]:
                _await_model(client, readers[0], report.model["model"])
        with step(report, console, "post", "Posting a tweet, finding it in a follower's feed, liking it"):
            # Another author each time: one may post 300 tweets in 3 h.
            turn = int(time.time()) % len(readers)
            follow = store_figures.pushed_follow(redis, keys, readers[turn:] + readers[:turn])
            waits = post_and_like(client, follow.author, follow.reader)
            report.post_to_feed_seconds, report.like_to_count_seconds = waits
            report.freshness = freshness(client, follow.author, follow.reader, FRESHNESS_SAMPLES)
        with step(report, console, "feed", "Reading feeds and trends"):
            ranking = client.feed(readers[0], audit=False)["ranking"]
            report.rung, report.rung_reason = ranking["rung"], ranking["reason"]
            report.feed_ranked = feed_latency(client, readers, "ranked", LATENCY_REQUESTS)
            report.feed_chronological = feed_latency(client, readers, "chronological", LATENCY_REQUESTS)
            report.trends = len(client.trends("world", "24h")["items"])
    figures = store_figures.count(redis, keys)
    report.home_timelines, report.deliveries = figures.home_timelines, figures.deliveries
    report.pulled_authors = figures.pulled_authors
    catching_up.await_checkpoint(settings, _jobs())  # what the steps since the replay wrote is read by now
    report.lag = catching_up.lag(settings, _jobs()).by_group
    seen = survey(layout_of(stack))
    report.memory_mb = {server.name: round(server.rss_mb, 1) for server in seen.servers}
    report.memory_mb["total"] = round(seen.rss_mb, 1)
    report.addresses = {
        "feed": stack.api.url,
        "mlflow": f"{stack.mlflow.tracking_uri}",
        "flink": f"http://{settings.flink.rest}",
    }


def _jobs() -> list[WantedJob]:
    """Those that the demo has submitted, as the settings name them by now."""
    settings = StreamSettings()
    return stream_jobs(settings.namespace, (), settings.projections)


def _await_model(client: FeedClient, reader: int, version: str) -> None:
    seconds_until(
        lambda: client.feed(reader)["ranking"]["model"] == version,
        f"The ranking service's switch to {version}",
        READY_SECONDS,
    )
