"""A search for parameters: what it judges on, its budget, and that an interruption changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from training.bundle import Scores
from training.dataset import prepare, time_split
from training.heads import HeadParameters
from training.metrics import relative_cross_entropy
from training.train import TrainingPlan
from training.tuning import study as tuning
from training.tuning.parameters import Range
from training.tuning.study import OBJECTIVE, Budget, Search, Study, StudyError, evaluated, opened_study

PLAN = TrainingPlan(head=HeadParameters(trees=10, leaves=4), light=HeadParameters(trees=3, leaves=4))
SMALL: Mapping[str, Range] = {
    "trees": Range(2, 12),
    "leaves": Range(2, 8, log=True),
    "learning_rate": Range(0.02, 0.2, log=True),
}

Make = Callable[..., pd.DataFrame]


@pytest.fixture
def search(examples_frame: Make, monkeypatch: pytest.MonkeyPatch) -> Search:
    monkeypatch.setattr(tuning, "SPACE", SMALL)
    return Search(prepare(examples_frame(lists=200, size=15)), PLAN, scoring_ratio=2.0)


def run(search: Search, folder: Path, budget: Budget, name: str | None = None) -> Study:
    with opened_study(search, folder, name) as study:
        while study.goes_on(budget):
            study.try_one()
        return study


def tried(study: Study) -> list[Mapping[str, float]]:
    return [trial.parameters for trial in study.trials]


def test_what_is_tried_is_judged_on_later_lists_than_it_learned_from_and_before_the_final_test(
    search: Search,
) -> None:
    parts, final = search.split().parts, time_split(search.examples)
    times = {name: part.frame["event_timestamp"] for name, part in parts.items()}
    assert times["train"].max() < times["calibration"].min()
    assert times["calibration"].max() < times["test"].min()
    assert times["test"].max() < final.test.frame["event_timestamp"].min()
    assert sum(map(len, parts.values())) == len(final.train) + len(final.calibration)


def test_the_first_trial_has_the_default_parameters(search: Search, tmp_path: Path) -> None:
    study = run(search, tmp_path, Budget(2, 600))
    first, second = tried(study)
    assert first == {name: getattr(PLAN.head, name) for name in SMALL}
    assert second != first
    assert study.best().default == study.trials[0].value


def test_a_study_that_was_cut_short_in_a_trial_goes_on_as_if_it_had_not_been(
    search: Search, tmp_path: Path
) -> None:
    whole = run(search, tmp_path / "whole", Budget(13, 600))
    run(search, tmp_path / "cut", Budget(12, 600))
    with opened_study(search, tmp_path / "cut") as study:
        # As a kill leaves it: begun, and never ended.
        study.storage.ask({name: tuning._distribution(span) for name, span in SMALL.items()})
    resumed = run(search, tmp_path / "cut", Budget(13, 600))
    assert tried(resumed) == tried(whole)
    assert [trial.figures for trial in resumed.trials] == [trial.figures for trial in whole.trials]
    assert resumed.best().head == whole.best().head


def test_another_seed_searches_elsewhere_in_a_study_of_its_own(search: Search, tmp_path: Path) -> None:
    other = replace(search, plan=replace(PLAN, seed=7))
    assert other.name != search.name
    assert tried(run(other, tmp_path, Budget(2, 600)))[1] != tried(run(search, tmp_path, Budget(2, 600)))[1]


def test_the_seconds_of_the_budget_are_those_of_the_whole_study(search: Search, tmp_path: Path) -> None:
    study = run(search, tmp_path, Budget(100, 1e-6))
    assert len(study.trials) == 1
    assert len(run(search, tmp_path, Budget(100, 1e-6)).trials) == 1
    assert not study.goes_on(Budget(1, 600))
    assert study.goes_on(Budget(2, 600))


def test_the_best_is_the_best_of_those_that_are_small_enough(search: Search, tmp_path: Path) -> None:
    free = run(search, tmp_path, Budget(4, 600))
    sizes = sorted(trial.figures["size"] for trial in free.trials)
    tight = replace(search, scoring_ratio=(sizes[1] + sizes[2]) / 2 / tuning.SIZE_SHARE)
    study = run(tight, tmp_path, Budget(4, 600))
    fitting = [trial for trial in study.trials if trial.figures["size"] <= sizes[1]]
    assert [trial for trial in study.trials if trial.fits] == fitting
    assert len(fitting) == 2
    assert study.best().value == max(trial.value for trial in fitting)


def test_a_study_that_nothing_small_enough_came_of_says_so(search: Search, tmp_path: Path) -> None:
    study = run(replace(search, scoring_ratio=1e-6), tmp_path, Budget(2, 600))
    with pytest.raises(StudyError, match=r"None of the 2 trials of the study .* is small enough to serve"):
        study.best()


def test_trials_on_other_examples_are_not_of_the_same_study(
    search: Search, tmp_path: Path, examples_frame: Make
) -> None:
    run(search, tmp_path, Budget(1, 600), "nightly")
    later = replace(search, examples=prepare(examples_frame(lists=200, size=15, seed=1)))
    with (
        pytest.raises(StudyError, match="The study nightly was begun with another data: name another"),
        opened_study(later, tmp_path, "nightly"),
    ):
        pass


def test_a_study_is_run_by_one_process_at_a_time(search: Search, tmp_path: Path) -> None:
    with (
        opened_study(search, tmp_path, "nightly"),
        pytest.raises(StudyError, match="The study nightly is being run by another process"),
        opened_study(search, tmp_path, "nightly"),
    ):
        pass


def test_the_objective_is_the_rce_of_all_heads_together(search: Search) -> None:
    test = search.split().test
    labels = {head: test.labels(head) for head in ("engaged", "retweeted")}
    base = {head: np.full(len(test), seen.mean()) for head, seen in labels.items()}
    scores = Scores(base, np.arange(len(test), dtype=np.float64))
    assert evaluated(scores, test)[OBJECTIVE] == pytest.approx(0, abs=1e-9)
    better = {head: 0.5 * base[head] + 0.5 * seen for head, seen in labels.items()}
    figures = evaluated(Scores(better, scores.score), test)
    rces = [relative_cross_entropy(labels[head], better[head]) for head in labels]
    assert min(rces) < figures[OBJECTIVE] < max(rces)
    assert [figures[f"{head}.rce"] for head in labels] == rces
    with_lost = evaluated(Scores(better, scores.score), test, left_out=["opened"])[OBJECTIVE]
    assert 0 < with_lost < figures[OBJECTIVE]
