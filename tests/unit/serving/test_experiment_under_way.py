"""An experiment under way: what readers of each arm get, how long they keep it, and what shadows do."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from serving.experiments.assignment import Assignment, Treatment
from serving.experiments.experiment import Arm, Experiment, Shadow
from serving.experiments.shadows import Shadows, agreement
from serving.feed.policy import default_policy
from serving.feed.query import FeedQuery
from serving.model_store import Model
from serving.pipeline.stages import Selection
from serving.settings import ServingSection
from serving.toml_file import TomlFileError
from tests.unit.serving.conftest import Models
from tests.unit.serving.test_feed_ladder import AgeModel, ids, ranking
from tests.unit.serving.test_out_of_network import engaged, like, sources, tweet
from training.bundle import Scores

__all__ = ["ranking"]
STEEP = replace(default_policy(), version="steep")


class NewestModel(AgeModel):
    """The opposite of the champion of these tests."""

    def score(self, matrix: Any) -> Scores:
        scores = super().score(matrix)
        return Scores(scores.probabilities, 1 / scores.score)


def newest() -> Models:
    return Models(Model(NewestModel(), "ranker@9"))  # type: ignore[arg-type]


def everybody_in(world: Any, policy: Any = None, **arm: Any) -> None:
    """Puts all readers into one arm."""
    chosen = Arm("new", 1.0, **arm)
    experiment = Experiment(1, "trial", "salt", (chosen,))
    made = Treatment(policy or world.feed.policy, "trial:new", chosen.model, chosen.sources or SOURCES)
    world.feed = dataclasses.replace(world.feed, assignment=Assignment(experiment, {"new": made}))


SOURCES = Treatment(default_policy()).sources


def test_impressions_of_every_rung_carry_the_arm_of_their_reader(ranking: Any) -> None:
    everybody_in(ranking)
    ranking.page("ranked", limit=1)
    ranking.models.current = None
    ranking.page("ranked", limit=1)
    assert [(i.rung, i.arm) for i in ranking.impressions] == [
        ("full", "trial:new"),
        ("chronological", "trial:new"),
    ]


def test_without_an_experiment_impressions_have_no_arm(ranking: Any) -> None:
    ranking.page("ranked", limit=1)
    assert [i.arm for i in ranking.impressions] == [None]


def test_an_arm_may_rank_by_another_policy(ranking: Any) -> None:
    everybody_in(ranking, policy=STEEP)
    answer = ranking.page("ranked", limit=2)
    assert answer.policy is STEEP
    assert {i.policy for i in ranking.impressions} == {"steep"}


def test_an_arm_may_rank_with_the_model_of_another_alias(ranking: Any) -> None:
    everybody_in(ranking, model="challenger")
    ranking.feed = dataclasses.replace(ranking.feed, challengers={"challenger": newest()})
    answer = ranking.page("ranked", limit=5)
    assert (ids(answer), answer.model) == ([50, 40, 30, 20, 10], "ranker@9")
    assert {i.model for i in ranking.impressions} == {"ranker@9"}


def test_until_the_model_of_an_arm_has_come_the_champion_ranks(ranking: Any) -> None:
    everybody_in(ranking, model="challenger")
    ranking.feed = dataclasses.replace(ranking.feed, challengers={"challenger": Models()})
    answer = ranking.page("ranked", limit=5)
    assert (ids(answer), answer.model, answer.rung) == ([10, 20, 30, 40, 50], "ranker@3", "full")


def test_an_arm_may_ask_some_of_the_sources_alone(ranking: Any) -> None:
    for stranger in (900, 901):
        tweet(ranking, stranger)
    like(ranking, 7, 900)
    engaged(ranking, 901)
    found: dict[Any, set[str]] = {}
    for wanted in (("following",), ("two_hop",), ("following", "popular"), ("celebrity",)):
        everybody_in(ranking, sources=wanted)
        found[wanted] = set(sources(ranking.page("ranked", limit=10, audit=True)).values())
    everybody_in(ranking)
    found["all"] = set(sources(ranking.page("ranked", limit=10, audit=True)).values())
    assert found == {
        ("following",): {"following"},
        ("two_hop",): {"two_hop"},
        ("following", "popular"): {"following", "popular"},
        ("celebrity",): {"following"},  # nothing to rank: the feed turns chronological
        "all": {"following", "two_hop", "popular"},
    }


def test_scrolling_keeps_the_arm_and_the_policy_of_its_first_page(ranking: Any) -> None:
    everybody_in(ranking, policy=STEEP)
    first = ranking.page("ranked", limit=2)
    ranking.feed = dataclasses.replace(ranking.feed, assignment=None)
    second = ranking.page("ranked", limit=2, cursor=first.next_cursor)
    assert (second.arm, second.policy) == ("trial:new", STEEP)
    logged = ranking.impressions[2:]
    assert {(i.arm, i.policy, i.model) for i in logged} == {("trial:new", "steep", "ranker@3")}


def test_a_scrolling_that_began_before_the_experiment_belongs_to_no_arm(ranking: Any) -> None:
    first = ranking.page("ranked", limit=2)
    everybody_in(ranking, policy=STEEP)
    second = ranking.page("ranked", limit=2, cursor=first.next_cursor)
    assert (second.arm, second.policy) == (None, default_policy())


def test_the_experiment_of_the_settings_has_each_readers_arm(tmp_path: Path) -> None:
    (tmp_path / "trial.toml").write_text(
        'format = 1\nname = "trial"\nsalt = "s"\n'
        '[[arms]]\nname = "control"\nweight = 0.5\n'
        '[[arms]]\nname = "new"\nweight = 0.5\nmodel = "challenger"\nsources = ["following"]\n'
        '[[shadows]]\nname = "next"\nmodel = "candidate"\n'
    )
    section = ServingSection(experiment=tmp_path / "trial.toml")
    assignment = section.load_assignment()
    assert assignment is not None
    assert assignment.aliases == {"challenger", "candidate"}
    made = [assignment.treatment(reader) for reader in range(1000)]
    assert made == [assignment.treatment(reader) for reader in range(1000)]
    assert {(one.arm, one.model, one.sources) for one in made} == {
        ("trial:control", None, SOURCES),
        ("trial:new", "challenger", ("following",)),
    }
    assert ServingSection().load_assignment() is None
    (tmp_path / "trial.toml").write_text("format = 2")
    with pytest.raises(TomlFileError):
        section.load_assignment()


def shadowed(world: Any, **models: Models) -> tuple[Counter[tuple[str, str]], list[float]]:
    outcomes: Counter[tuple[str, str]] = Counter()
    agreed: list[float] = []
    shadows = Shadows(
        (Shadow("next", "candidate"),),
        models,
        lambda name, outcome: outcomes.update([(name, outcome)]),
        lambda name, share: agreed.append(share),
    )
    world.feed = dataclasses.replace(world.feed, shadows=shadows)
    return outcomes, agreed


def test_a_shadow_scores_the_same_candidates_and_changes_nothing_that_is_shown(ranking: Any) -> None:
    outcomes, agreed = shadowed(ranking, candidate=newest())
    answer = ranking.page("ranked", limit=3)
    assert (ids(answer), answer.model) == ([10, 20, 30], "ranker@3")
    assert outcomes == {("next", "scored"): 1}
    assert agreed == [pytest.approx(1 / 3)]  # 10, 20, 30 by the one, 50, 40, 30 by the other
    assert {i.model for i in ranking.impressions} == {"ranker@3"}


def test_pages_that_no_model_ranked_have_nothing_for_a_shadow(ranking: Any) -> None:
    outcomes, _ = shadowed(ranking, candidate=newest())
    ranking.page("chronological")
    ranking.page("ranked", limit=2, audit=True)
    assert not outcomes


@pytest.mark.parametrize(("shadow", "outcome"), [(None, "model_unavailable"), (object(), "failed")])
def test_a_shadow_without_a_model_or_with_a_broken_one_is_counted(
    ranking: Any, shadow: Any, outcome: str
) -> None:
    model = None if shadow is None else Model(shadow, "ranker@9")
    outcomes, agreed = shadowed(ranking, candidate=Models(model))
    assert ids(ranking.page("ranked", limit=2)) == [10, 20]
    assert (outcomes, agreed) == ({("next", outcome): 1}, [])


def test_while_a_shadow_scores_one_page_others_are_dropped(ranking: Any) -> None:
    outcomes, _ = shadowed(ranking, candidate=newest())
    answer = ranking.page("ranked", limit=2, audit=True)

    async def both() -> None:
        shadows, selection = ranking.feed.shadows, Selection(answer.items, answer.rest)
        await asyncio.gather(*(shadows.run(ranking_query(answer), selection) for _ in range(2)))
        await shadows.run(ranking_query(answer), selection)

    asyncio.run(both())
    assert outcomes == {("next", "scored"): 2, ("next", "dropped"): 1}


def ranking_query(answer: Any) -> FeedQuery:
    return FeedQuery(1, len(answer.items), answer.as_of_ms, answer.request_id)


def test_agreement_is_the_share_of_the_best_that_are_the_same() -> None:
    appearances = np.arange(4)
    scores: Any = np.array([4.0, 3.0, 2.0, 1.0])
    assert agreement(scores, 2.0 * scores, appearances, 2) == 1.0
    assert agreement(scores, -scores, appearances, 2) == 0.0
    assert agreement(scores, np.array([4.0, 1.0, 3.0, 2.0]), appearances, 2) == 0.5
