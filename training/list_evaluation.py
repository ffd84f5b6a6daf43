"""``tideline evaluate`` on one page: two folders in, the model and the baselines judged on the later."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from features.list_table import ListTable, compute
from features.ranking_log import Candidates
from training.datasets.registry import read_log
from training.latency import page_cost
from training.list_baselines import Logistic, PlantedTruth, baselines
from training.list_model import ListModel, ListPlan, ListScores, check_labels, fit
from training.list_report import OrderFigures, figures_of, judged_lists
from training.list_slices import ListSlice, sliced, worse_slices
from training.manifest import ScoringCost


@dataclass(frozen=True)
class ListEvaluation:
    """What came out; ``rows`` and ``lists`` are those of the test folder that are judged.

    ``slices`` are beside ``strongest``, the baseline of the highest nDCG@10. ``judged`` are the rows of the
    test folder, and ``scores`` what the ``model`` says of them.
    """

    dataset: str
    data_fingerprint: str
    plan: ListPlan
    model: ListModel
    judged: ListTable
    scores: ListScores
    train_rows: int
    rows: int
    lists: int
    features: int
    size: Mapping[str, int]
    scoring: ScoringCost
    champion: OrderFigures
    baselines: Mapping[str, OrderFigures]
    strongest: str
    slices: Mapping[str, ListSlice]

    @property
    def share_of_gain(self) -> float | None:
        """(model - chronological) / (planted truth - chronological) in nDCG@10; None without that truth."""
        if "planted_truth" not in self.baselines:
            return None
        first, best = (self.baselines[name].ndcg_at_10.value for name in ("chronological", "planted_truth"))
        return (self.champion.ndcg_at_10.value - first) / (best - first)

    def summary(self) -> dict[str, object]:
        """Plain values for a report."""
        share = self.share_of_gain
        return {
            **({} if share is None else {"share_of_gain": share}),
            "dataset": self.dataset,
            "data_fingerprint": self.data_fingerprint,
            "train_rows": self.train_rows,
            "rows": self.rows,
            "lists": self.lists,
            "features": self.features,
            "size": dict(self.size),
            "scoring": {**msgspec.structs.asdict(self.scoring), "ratio": self.scoring.ratio},
            "champion": self.champion.flat(),
            "baselines": {name: figures.flat() for name, figures in self.baselines.items()},
            "slices": {
                "baseline": self.strongest,
                "worse": worse_slices(self.slices),
                "parts": {name: part.flat() for name, part in self.slices.items()},
            },
        }


def evaluate(
    dataset: str,
    train: Path,
    test: Path,
    plan: ListPlan | None = None,
    announce: Callable[[str], None] = lambda step: None,
) -> ListEvaluation:
    """Fits on the rows of ``train`` and judges on those of ``test``, which come after them.

    Features of every row, of either folder, are those of the moment of the row: a test row's past takes in
    the train folder and what came before it in the test folder, as the live pipeline's would.

    Raises:
        DatasetError: a folder is not what the dataset's reader needs, or ``test`` is not the later one.
        NoExamplesError: there is too little to learn from or to judge by.
    """
    plan = plan or ListPlan()
    announce("reading both folders")
    log = read_log(dataset, train, test)
    later = log.candidates.later
    check_labels(log.candidates.label[~later], "the train folder")
    check_labels(log.candidates.label[later], "the test folder")
    announce("computing the features")
    table = compute(log)
    learned, judged = table.where(~later), table.where(later)
    model = fit(learned, plan, announce)
    orders = [*baselines(judged), Logistic(model.linear)]
    announce("judging")
    rows: Candidates = judged.rows
    scores = model.scores(judged)
    champion = figures_of(rows, scores.order, scores.probability, plan.seed)
    others, scored = {}, {}
    for order in orders:
        score = scored[order.name] = order.score(judged)
        others[order.name] = figures_of(rows, score, score if order.probability else None, plan.seed)
    beaten = {name: figures.ndcg_at_10.value for name, figures in others.items() if name != PlantedTruth.name}
    strongest = max(beaten, key=lambda name: beaten[name])
    announce("timing a page")
    scoring = page_cost(model.page, judged.matrix)
    return ListEvaluation(
        dataset=dataset,
        data_fingerprint=log.fingerprint,
        plan=plan,
        model=model,
        judged=judged,
        scores=scores,
        train_rows=len(learned.rows),
        rows=int(rows.judged.sum()),
        lists=judged_lists(rows),
        features=len(table.names),
        size=model.size,
        scoring=scoring,
        champion=champion,
        baselines=others,
        strongest=strongest,
        slices=sliced(judged, scores.order, scored[strongest], plan.seed),
    )
