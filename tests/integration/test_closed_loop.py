"""Two days of the closed loop on real servers: what is served is learned from, and what is learned serves."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.examples import TRAINING_EXAMPLES
from features.store import offline_folder
from ingestion.events import Impression
from ingestion.lake_events import read_columns
from ingestion.world.plan import Engagement
from pipelines.settings import StreamSettings
from stack.closed_loop.pages import FIRST_MODEL, experiment_of
from stack.closed_loop.plan import ARMS, CHAMPION, CHRONOLOGICAL, FIRST, LoopPlan
from stack.closed_loop.plots import write_plot
from stack.closed_loop.report import report
from stack.closed_loop.run import Loop, run
from stack.closed_loop.servers import environment, servers
from stack.java import JavaNotFoundError, export_java
from training.settings import TrainingSettings
from training.versions import opened

pytestmark = [pytest.mark.spark, pytest.mark.stack, pytest.mark.timeout(900)]

# People who care so much who wrote it that a model of one small day is better than the baselines.
EAGER = Engagement(intercept=-2.0, author_quality=1.6, pair_affinity=1.6, retweet_intercept=-0.5)

# The last hours of a day have some dozen lists.
SMALL = {"TIDELINE_GATE__LEAST_LISTS": "10", "TIDELINE_GATE__LEAST_READERS": "5"}


@dataclass(frozen=True)
class Lived:
    """A loop, and what it left in the lake, the offline store and the registry."""

    loop: Loop
    shown: pd.DataFrame
    examples: pd.DataFrame
    aliases: dict[str, str]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    try:
        export_java(os.environ)
    except JavaNotFoundError as error:
        pytest.skip(str(error))
    folder: Path = tmp_path_factory.mktemp("loop")
    plan = LoopPlan(days=2, readers=40, sessions_per_day=5.0, exploration=0.5, engagement=EAGER)
    with environment(SMALL), servers(folder, lambda step: None):
        loop = run(plan, folder, lambda step: None)
        stream, training = StreamSettings(), TrainingSettings()
        names = ["request_id", "user_id", "tweet_id", "position", "rung", "model", "arm", "features", "ts"]
        names += ["alternative_propensity"]
        shown = read_columns(stream.lake.path, stream.namespace, Impression, names, None, plan.ends_ms(2))
        examples = pd.read_parquet(offline_folder(training) / TRAINING_EXAMPLES)
        with opened(training.mlflow) as versions:
            aliases = versions.aliases()
        yield Lived(loop, shown.to_pandas(), examples, aliases)


def day(lived: Lived, number: int) -> pd.DataFrame:
    ends = lived.loop.plan.ends_ms(number)
    return lived.shown[
        (lived.shown["ts"] < ends) & (lived.shown["ts"] >= lived.loop.plan.ends_ms(number - 1))
    ]


def test_the_first_day_has_no_model_and_the_second_is_ranked_by_what_the_night_promoted(lived: Lived) -> None:
    assert set(day(lived, 1)["rung"]) == {"chronological"}
    (night,) = lived.loop.nights
    shown_first = len(day(lived, 1))
    assert night.examples + night.waiting == shown_first
    assert 0 < night.waiting < 0.2 * shown_first
    assert night.champion is not None, night.sentence
    assert lived.aliases["champion"] == lived.aliases[FIRST_MODEL] == "1"
    later = day(lived, 2)
    ranked = later[later["arm"] != f"closed-loop:{CHRONOLOGICAL}"]
    # Below the end of a ranking a reader scrolls on by time.
    assert (ranked["rung"] == "full").mean() > 0.8
    assert set(ranked.loc[ranked["rung"] == "full", "model"]) == {night.champion}
    assert set(later[later["arm"] == f"closed-loop:{CHRONOLOGICAL}"]["rung"]) == {"chronological"}


def test_arms_share_no_reader(lived: Lived) -> None:
    readers = {arm: set(rows["reader"]) for arm, rows in lived.loop.sessions.groupby("arm")}
    assert set(readers) == set(ARMS)
    assert sum(map(len, readers.values())) == len(set.union(*readers.values()))
    experiment = experiment_of(lived.loop.plan.seed)
    by_log = lived.shown.drop_duplicates("user_id")
    arms = [f"closed-loop:{experiment.arm_of(reader).name}" for reader in by_log["user_id"]]
    assert by_log["arm"].tolist() == arms


def test_examples_are_what_was_served_with_the_features_it_was_ranked_by(lived: Lived) -> None:
    keys = ["request_id", "tweet", "user", "position"]
    shown = lived.shown.rename(columns={"tweet_id": "tweet", "user_id": "user"})
    joined = shown.merge(lived.examples, on=keys, how="outer", indicator=True)
    assert (joined["_merge"] == "both").all()
    ranked = joined[joined["rung_x"] == "full"]
    assert len(ranked)
    for served, example in zip(ranked["features"], ranked["logged_features"], strict=True):
        np.testing.assert_array_equal(np.array(served, dtype=float), np.array(example, dtype=float))


def test_labels_are_what_readers_did(lived: Lived) -> None:
    """But for the acts of the last minutes, which the log of the second day does not have yet."""
    sessions = lived.loop.sessions
    assert sessions["engaged"].sum() > 100
    assert (sessions["label_engaged"] != sessions["engaged"]).sum() <= 2
    assert sessions[["label_liked", "label_retweeted", "label_replied", "label_opened"]].sum().min() > 0
    assert sessions["worth"].sum() > 0


def test_chance_decides_slots_of_ranked_pages(lived: Lived) -> None:
    contested = lived.shown[lived.shown["alternative_propensity"].notna()]
    assert set(contested["rung"]) == {"full"}
    assert set(contested["alternative_propensity"]) == {0.5}


def test_the_report_says_that_one_night_is_no_loop(lived: Lived, tmp_path: Path) -> None:
    found = report(lived.loop)
    assert [(of.over, list(of.days)) for of in found.leads] == [(CHRONOLOGICAL, [2]), (FIRST, [])]
    assert "No second model" in str(found.problem)
    # Two arms with one model on other readers: a control, not a lead.
    assert found.control is not None
    assert list(found.control.days) == [2]
    assert {(row.day, row.arm) for row in found.days} == {(number, arm) for number in (1, 2) for arm in ARMS}
    assert found.leads[0].expected.value == pytest.approx(
        (lived.loop.sessions[lived.loop.sessions["day"] == 2][f"would_{CHAMPION}"]).mean()
        - (lived.loop.sessions[lived.loop.sessions["day"] == 2][f"would_{CHRONOLOGICAL}"]).mean()
    )
    write_plot(tmp_path / "loop.png", found)
    assert (tmp_path / "loop.png").read_bytes().startswith(b"\x89PNG")
