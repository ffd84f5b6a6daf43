"""What the demo and its neighbours refuse before they start or delete anything."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ingestion.datasets.dataset import DatasetError
from ingestion.world.generate import require_world_folder
from ingestion.world.plan import WorldError
from stack.addresses import forget_dev_login
from stack.demo.done import Done
from stack.demo.run import DemoOptions
from stack.errors import UserError
from stack.layout import Layout
from stack.state import ProcessRef, StackState, write_state


def options(dataset: str = "synthetic", speed: str = "max", users: int = 2000) -> DemoOptions:
    return DemoOptions(dataset, speed, users, days=4, seed=1, push_below=25, pull_above=50)


def test_good_options_pass() -> None:
    options().check()


def test_an_unknown_dataset_a_bad_speed_and_a_tiny_world_are_refused() -> None:
    with pytest.raises(DatasetError):
        options(dataset="nonsense").check()
    with pytest.raises(UserError):
        options(speed="fast").check()
    with pytest.raises(WorldError):
        options(users=0).check()


def test_real_data_that_is_not_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDELINE_DATA", str(tmp_path))
    with pytest.raises(DatasetError):
        options(dataset="retweet_cascade").check()


def test_a_second_start_goes_on_and_other_options_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "demo" / "synthetic.json"
    first = Done(path, {"seed": 1})
    first.add("replay")
    assert Done(path, {"seed": 1}).parts == ["replay"]
    with pytest.raises(UserError, match="another seed"):
        Done(path, {"seed": 2})


def test_a_world_replaces_a_world_and_nothing_else(tmp_path: Path) -> None:
    require_world_folder(tmp_path / "new")
    (tmp_path / "tweets.parquet").touch()
    require_world_folder(tmp_path)
    (tmp_path / "precious.txt").touch()
    with pytest.raises(WorldError, match=r"precious\.txt"):
        require_world_folder(tmp_path)


def test_the_development_login_ends_with_its_stack(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.addresses.write_text("[security]\ndev_login = true\n")
    forget_dev_login(layout)
    assert layout.addresses.read_text() == "[security]\ndev_login = false\n"


def test_a_stack_that_runs_already_is_not_made_a_demo_and_goes_on(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.run.mkdir()
    layout.addresses.write_text('namespace = "mine"\n')
    with subprocess.Popen(["sleep", "600"]) as supervisor:
        try:
            process = ProcessRef.of(supervisor.pid)
            assert process is not None
            write_state(layout.state, StackState(process, []))
            outcome = subprocess.run(
                [sys.executable, "-m", "stack.cli", "demo", "--once"],
                env=os.environ | {"TIDELINE_HOME": str(tmp_path)},
                capture_output=True,
                text=True,
                check=False,
            )
            assert outcome.returncode == 1
            assert outcome.stderr.startswith("A stack runs here already")
            assert len(outcome.stderr.strip().splitlines()) == 1
            assert outcome.stdout == ""
            assert layout.addresses.read_text() == 'namespace = "mine"\n'
            assert supervisor.poll() is None
        finally:
            supervisor.kill()


@pytest.mark.parametrize(
    ("environ", "toml", "said"),
    [
        ({"TIDELINE_STACK__PORTS__KAFKA": "abc"}, "", "TIDELINE_STACK__PORTS__KAFKA"),
        ({}, "not toml", "tideline.toml"),
    ],
)
def test_a_setting_that_is_not_right_is_one_sentence(
    tmp_path: Path, environ: dict[str, str], toml: str, said: str
) -> None:
    if toml:
        (tmp_path / "tideline.toml").write_text(toml)
    outcome = subprocess.run(
        [sys.executable, "-m", "stack.cli", "status"],
        cwd=tmp_path,
        env=os.environ | environ | {"TIDELINE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 1
    assert said in outcome.stderr
    assert len(outcome.stderr.strip().splitlines()) == 1
