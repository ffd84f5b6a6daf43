"""A search for parameters by Optuna: seeded, within a budget, and resumable after any interruption.

What is tried is judged on the last part of the examples before those of the final test, which it never sees.
"""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from time import monotonic

import numpy as np
import optuna
import pandas as pd
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from features.labels import ENGAGED
from training.bundle import Scores
from training.dataset import Examples, Split, time_split
from training.export import code_fingerprint
from training.metrics import log_loss, ndcg, rankable, relative_cross_entropy
from training.train import TrainingPlan, fit
from training.tuning.parameters import SPACE, Range, TunedParameters, Value
from training.tuning.size import plain_work, relative_size

OBJECTIVE = "pooled_rce"
STORAGE = "studies.db"
SIZE_SHARE = 0.7
"""What the trees may take of the scoring budget; the rest is for what calls and the linear parts cost."""


class StudyError(RuntimeError):
    """The study cannot be run as asked; the message is one sentence."""


@dataclass(frozen=True)
class Budget:
    """For the whole study, however often it is interrupted; a trial under way is not cut off."""

    trials: int
    seconds: float


@dataclass(frozen=True)
class Trial:
    """A trial that ended: what it tried, what came of it, and whether it is within the size."""

    number: int
    parameters: Mapping[str, Value]
    figures: Mapping[str, float]
    seconds: float

    @property
    def value(self) -> float:
        return self.figures[OBJECTIVE]

    @property
    def fits(self) -> bool:
        return self.figures["size"] <= self.figures["size_limit"]


@dataclass(frozen=True)
class Search:
    """Everything that a study's results follow from, but for its budget."""

    examples: Examples
    plan: TrainingPlan
    scoring_ratio: float

    @property
    def basis(self) -> dict[str, str]:
        """What must be the same for trials to be of one study."""
        space = {name: (span.low, span.high, span.log) for name, span in SPACE.items()}
        return {
            "data": self.examples.fingerprint,
            "code": code_fingerprint(),
            "plan": repr(self.plan),
            "space": repr(space),
            "scoring ratio": repr(self.scoring_ratio),
        }

    @property
    def name(self) -> str:
        """Of the study without a name of its own: the same search is the same study."""
        return hashlib.sha256(repr(self.basis).encode()).hexdigest()[:12]

    def split(self) -> Split:
        """Everything before the final test, split as that is: what is judged on is its latest part."""
        whole = time_split(self.examples)
        earlier = pd.concat([whole.train.frame, whole.calibration.frame], ignore_index=True)
        return time_split(Examples(earlier))


@dataclass(frozen=True)
class Study:
    """A search under way, in a storage that outlives the process; open it with :func:`opened_study`."""

    name: str
    search: Search
    split: Split
    storage: optuna.Study

    @property
    def trials(self) -> list[Trial]:
        """Those that ended, numbered from 0 whatever was interrupted between them."""
        complete = self.storage.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
        return [_trial(number, trial) for number, trial in enumerate(complete)]

    def goes_on(self, budget: Budget) -> bool:
        trials = self.trials
        return len(trials) < budget.trials and sum(trial.seconds for trial in trials) < budget.seconds

    def try_one(self) -> None:
        """One trial: the defaults first, then what a sampler draws that only the ended trials decide.

        So an interrupted study draws what it would have drawn.
        """
        done, plan = len(self.trials), self.search.plan
        self.storage.sampler = optuna.samplers.TPESampler(seed=plan.seed + done)
        if not done and not self.storage.get_trials(deepcopy=False, states=[TrialState.WAITING]):
            self.storage.enqueue_trial({name: getattr(plan.head, name) for name in SPACE})
        began = monotonic()
        trial = self.storage.ask({name: _distribution(span) for name, span in SPACE.items()})
        tried = replace(plan, head=replace(plan.head, **trial.params))
        fingerprint, judged_on = self.search.examples.fingerprint, self.split.test
        bundle, _ = fit(self.name, self.split, fingerprint, tried, lambda step: None)
        figures = evaluated(bundle.score(judged_on.matrix), judged_on, bundle.manifest.left_out)
        size, limit = relative_size(bundle, self._plain), SIZE_SHARE * self.search.scoring_ratio
        trial.set_constraint("size", size - limit)
        trial.set_user_attr("figures", figures | {"size": size, "size_limit": limit})
        trial.set_user_attr("seconds", monotonic() - began)
        self.storage.tell(trial, figures[OBJECTIVE])

    def best(self) -> TunedParameters:
        """The best parameters of those small enough.

        Raises:
            StudyError: none is.
        """
        trials = self.trials
        fitting = [trial for trial in trials if trial.fits]
        if not fitting:
            raise StudyError(
                f"None of the {len(trials)} trials of the study {self.name} is small enough to serve: "
                "give it more trials."
            )
        best = max(fitting, key=lambda trial: trial.value)
        return TunedParameters(
            study=self.name,
            head=dict(best.parameters),
            data_fingerprint=self.search.examples.fingerprint,
            objective=OBJECTIVE,
            value=best.value,
            default=trials[0].value,
            trials=len(trials),
            seconds=sum(trial.seconds for trial in trials),
        )

    @cached_property
    def _plain(self) -> float:
        return plain_work(self.split.test.matrix)


@contextmanager
def opened_study(search: Search, folder: Path, name: str | None = None) -> Iterator[Study]:
    """The study ``name`` (that of the search without it) in ``folder``: a new one, or one that goes on.

    Raises:
        NoExamplesError: too few examples before the final test.
        StudyError: another process runs the study, or it was begun on something else.
    """
    name = name or search.name
    split = search.split()
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder / f"{name}.lock", name):
        yield Study(name, search, split, _storage(folder / STORAGE, name, search))


def evaluated(scores: Scores, examples: Examples, left_out: Iterable[str] = ()) -> dict[str, float]:
    """The objective, the RCE of each head, and nDCG@10 of the order.

    The objective is the RCE of all heads together, 100 (1 - sum of CE / sum of CE_ref): smooth, and a head
    with few positives does not drown the others as it would in a mean of RCEs. A head ``left_out`` counts as
    one that predicts its mean.
    """
    labels = {head: examples.labels(head) for head in scores.probabilities}
    losses = [log_loss(labels[head], chances) for head, chances in scores.probabilities.items()]
    references = [log_loss(seen, np.full(len(seen), seen.mean())) for seen in labels.values()]
    # Else a trial would gain by a head that learned nothing.
    means = [seen.mean() for seen in map(examples.labels, left_out) if 0 < seen.mean() < 1]
    lost = [-(mean * np.log(mean) + (1 - mean) * np.log1p(-mean)) for mean in means]
    losses, references = [*losses, *lost], [*references, *lost]
    figures = {OBJECTIVE: 100.0 * (1.0 - sum(losses) / sum(references))}
    for head, chances in scores.probabilities.items():
        figures[f"{head}.rce"] = relative_cross_entropy(labels[head], chances)
    engaged = examples.labels(ENGAGED)
    kept = rankable(examples.requests, engaged)
    figures["ndcg_10"] = float(ndcg(examples.requests, engaged, scores.score)[kept].mean())
    return figures


def _storage(file: Path, name: str, search: Search) -> optuna.Study:
    """What the storage has of the study; a trial that an interruption cut short counts as failed."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Not Optuna's journal file: a line that a kill cut short would spoil all that follows.
    store = optuna.storages.RDBStorage(f"sqlite:///{file.absolute()}")
    study = optuna.create_study(storage=store, study_name=name, direction="maximize", load_if_exists=True)
    begun = study.user_attrs.get("basis")
    if begun is None:
        study.set_user_attr("basis", search.basis)
    elif others := [key for key, value in search.basis.items() if begun.get(key) != value]:
        raise StudyError(
            f"The study {name} was begun with another {', another '.join(others)}: name another with --study."
        )
    for trial in study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
        study.tell(trial.number, state=TrialState.FAIL)
    return study


def _distribution(span: Range) -> BaseDistribution:
    if span.whole:
        return IntDistribution(int(span.low), int(span.high), log=span.log)
    return FloatDistribution(span.low, span.high, log=span.log)


def _trial(number: int, trial: FrozenTrial) -> Trial:
    return Trial(number, trial.params, trial.user_attrs["figures"], trial.user_attrs["seconds"])


@contextmanager
def _alone(path: Path, name: str) -> Iterator[None]:
    """By a lock that the system releases when the process ends."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StudyError(f"The study {name} is being run by another process.") from None
        yield
