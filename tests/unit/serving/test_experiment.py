"""Experiments: a file is right or refused in one sentence; readers are spread by weight, always the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from scipy.stats import chisquare

from serving.experiments.experiment import Experiment, load_experiment, policies_of
from serving.feed.policy import default_policy
from serving.toml_file import TomlFileError, decode_toml

TEXT = """
format = 1
name = "fewer-topics"
salt = "november"

[[arms]]
name = "control"
weight = 0.5

[[arms]]
name = "steep"
weight = 0.3
policy = "steep.toml"

[[arms]]
name = "followed-only"
weight = 0.2
model = "challenger"
sources = ["following", "celebrity"]

[[shadows]]
name = "next"
model = "next_champion"
"""
READERS = range(1, 20_001)


PAGE = Path(__file__).parents[3] / "docs" / "experiments.md"


def read(text: str) -> Experiment:
    return decode_toml(text, Experiment, "mine.toml")


def test_a_file_names_arms_and_shadows() -> None:
    experiment = read(TEXT)
    assert experiment.control.name == "control"
    assert [arm.weight for arm in experiment.arms] == [0.5, 0.3, 0.2]
    assert experiment.arms[2].sources == ("following", "celebrity")
    assert [(shadow.name, shadow.model) for shadow in experiment.shadows] == [("next", "next_champion")]


def test_the_example_of_the_page_is_an_experiment() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    experiment = read(example)
    assert [arm.name for arm in experiment.arms] == ["control", "steep", "challenger"]
    assert [arm.policy for arm in experiment.arms] == [None, "steep.toml", None]
    assert [shadow.model for shadow in experiment.shadows] == ["next"]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("weight = 0.2", "weight = 0.1", "the weights of the arms sum to 0.9, not to 1"),
        ("weight = 0.2", "weight = nan", "arms[2].weight: expected `float` > 0.0"),
        ("weight = 0.2", "weight = 0", "arms[2].weight: expected `float` > 0.0"),
        ("weight = 0.2", "weight = -0.2", "arms[2].weight: expected `float` > 0.0"),
        ("weight = 0.2", "wait = 0.2", "arms[2]: object contains unknown field `wait`"),
        ('name = "steep"', 'name = "control"', "two arms are called control"),
        ('name = "next"', 'name = "steep"', "two arms are called steep"),
        ('name = "steep"', 'name = "Two words"', "arms[1].name: expected `str` matching regex"),
        ('["following", "celebrity"]', '["folowing"]', "arms[2].sources[0]: invalid enum value 'folowing'"),
        ('["following", "celebrity"]', "[]", "arms[2].sources: expected `array` of length >= 1"),
        ('salt = "november"', 'salt = ""', "salt: expected `str` of length >= 1"),
        ("format = 1", "format = 2", "format: invalid enum value 2"),
        ("format = 1", "format = 1\nshadow = 1", "object contains unknown field `shadow`"),
        ('salt = "november"', "", "object missing required field `salt`"),
    ],
)
def test_what_is_not_right_is_named(old: str, new: str, sentence: str) -> None:
    with pytest.raises(TomlFileError) as caught:
        read(TEXT.replace(old, new))
    assert str(caught.value).startswith(f"mine.toml is not right: {sentence}")
    assert str(caught.value).endswith(".")


def test_a_reader_is_always_in_the_same_arm(tmp_path: Path) -> None:
    (tmp_path / "experiment.toml").write_text(TEXT)
    first, second = read(TEXT), load_experiment(tmp_path / "experiment.toml")
    assert [first.arm_of(reader) for reader in READERS] == [second.arm_of(reader) for reader in READERS]


def test_the_arms_of_some_readers_are_what_they_were_in_every_release() -> None:
    arms = [read(TEXT).arm_of(reader).name for reader in (1, 2, 3, 4, 5, 2**62)]
    assert arms == ["steep", "control", "control", "control", "steep", "control"]


def test_readers_are_spread_as_the_weights_say() -> None:
    experiment = read(TEXT)
    arms = [experiment.arm_of(reader).name for reader in READERS]
    found = [arms.count(arm.name) for arm in experiment.arms]
    assert chisquare(found, [len(READERS) * arm.weight for arm in experiment.arms]).pvalue > 0.001


def test_another_salt_draws_readers_independently() -> None:
    experiment, other = read(TEXT), read(TEXT.replace("november", "december"))
    first = {reader for reader in READERS if experiment.arm_of(reader).name == "control"}
    second = {reader for reader in READERS if other.arm_of(reader).name == "control"}
    assert len(first & second) / len(READERS) == pytest.approx(0.25, abs=0.02)


def test_a_larger_first_arm_keeps_the_readers_it_had() -> None:
    experiment = read(TEXT)
    larger = read(TEXT.replace("weight = 0.5", "weight = 0.6").replace("weight = 0.2", "weight = 0.1"))
    before = {reader for reader in READERS if experiment.arm_of(reader).name == "control"}
    after = {reader for reader in READERS if larger.arm_of(reader).name == "control"}
    assert before < after


def test_an_arm_without_a_policy_has_the_one_in_force(tmp_path: Path) -> None:
    source = Path(__file__).parents[3] / "serving" / "feed" / "policies" / "default.toml"
    steep = (
        source.read_text()
        .replace('"default-1"', '"steep-1"')
        .replace("topic_decay = 0.85", "topic_decay = 0.6")
    )
    (tmp_path / "steep.toml").write_text(steep)
    policies = policies_of(read(TEXT), tmp_path, default_policy())
    assert {arm: policy.version for arm, policy in policies.items()} == {
        "control": "default-1",
        "steep": "steep-1",
        "followed-only": "default-1",
    }
    assert policies["steep"].diversity.topic_decay == 0.6


def test_a_policy_that_is_not_there_is_refused_before_anybody_is_served(tmp_path: Path) -> None:
    with pytest.raises(TomlFileError, match=r"^steep\.toml cannot be read"):
        policies_of(read(TEXT), tmp_path, default_policy())
