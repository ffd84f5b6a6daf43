"""Projections beside each other: what is served, what is left, and what a replay command means."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingestion.topics import SETTINGS, TWEETS
from pipelines.jobs import job_title, topic_names
from pipelines.settings import StreamSettings
from stack import addresses
from stack.addresses import Choices
from stack.commands.projections import chosen
from stack.commands.replay import is_of_projections
from stack.errors import UserError
from stack.jobs import stream_jobs
from stack.layout import Layout
from stack.lifecycle import make_plan
from stack.projections.backfill import topics_of
from stack.projections.ledger import Ledger, Standing
from stack.settings import StackSection, StackSettings
from timelines.keys import Keyspace
from timelines.settings import Projections

NAME = "town.20261121T140000"
NOTHING = (None, None, None, None)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(Layout(tmp_path))


def test_before_the_first_replay_everything_lies_under_the_namespace(ledger: Ledger) -> None:
    assert ledger.of("town") == Standing()
    assert ledger.of("town").projections == Projections()


def test_a_projection_that_is_built_is_left_until_it_is_swapped_in(ledger: Ledger) -> None:
    building = ledger.keep("town", Standing().building(NAME, ("timelines", "trends")))
    assert ledger.of("town") == building
    assert building.projections == Projections()
    assert building.left == (("timelines", NAME), ("trends", NAME))


def test_after_a_swap_what_was_replaced_is_left(ledger: Ledger) -> None:
    first = Standing().building(NAME, ("timelines", "trends")).swapped(NAME, ("timelines", "trends"))
    assert first.projections == Projections(timelines=NAME, trends=NAME)
    assert first.left == (("timelines", ""), ("trends", ""))
    clean = first.taken_away("timelines", "").taken_away("trends", "")
    assert clean.left == ()
    second = clean.building("town.later", ("timelines",)).swapped("town.later", ("timelines",))
    assert second.projections == Projections(timelines="town.later", trends=NAME)
    assert second.left == (("timelines", NAME),)
    assert second.names() == {NAME, "town.later"}
    assert second.taken_away("timelines", NAME).names() == {NAME, "town.later"}


def test_namespaces_do_not_know_of_each_other(ledger: Ledger) -> None:
    ledger.keep("town", Standing({"timelines": NAME}))
    ledger.keep("", Standing({"trends": "main.x"}))
    assert ledger.of("town").projections == Projections(timelines=NAME)
    assert ledger.of("").projections == Projections(trends="main.x")
    assert ledger.of("village") == Standing()


def test_what_is_served_reaches_every_process_through_the_addresses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make_plan(StackSettings(home=tmp_path, stack=StackSection(disk_gb=0)), ("valkey",), print)
    served = Projections(timelines=NAME)
    addresses.write(plan.layout, addresses.render(plan, Choices("town", projections=served)))
    monkeypatch.setenv("TIDELINE_HOME", str(tmp_path))
    keys = Keyspace.of(StreamSettings())
    assert keys.home(1) == f"{NAME}:home:{{1}}:1"
    assert keys.tweet(1) == "town:tweet:{1}:1"


def test_a_job_of_a_named_projection_has_a_title_a_folder_and_an_argument_of_its_own() -> None:
    named, unnamed = stream_jobs("town", ["timelines", "records"], Projections(timelines=NAME))
    assert named.title == job_title("timelines", "town", NAME) == f"{NAME}-timelines"
    assert named.folder == Path(NAME) / "timelines"
    assert named.argument(Path("/c/chk-1")) == f"timelines@{NAME}=file:///c/chk-1"
    assert unnamed.title == "town-records"
    assert unnamed.argument(None) == "records"


def test_a_named_projection_reads_the_log_and_what_the_log_has_lost() -> None:
    names = topic_names("timelines", "town", NAME)
    assert {"town.tweets", "town.follows", "town.users", "town.settings", f"{NAME}.tweets"} == set(names)
    assert topic_names("timelines", "town", NAME, [SETTINGS]) == ["town.settings"]
    assert topic_names("timelines", "town") == [name for name in names if not name.startswith(NAME)]


def test_trends_are_counted_in_the_order_of_the_log_alone() -> None:
    assert topic_names("trends", "town", NAME, [TWEETS]) == ["town.tweets"]
    assert topics_of(["trends"]) == []
    assert [topic.name for topic in topics_of(["timelines", "trends"])] == ["tweets"]


def test_a_dataset_is_meant_unless_a_moment_is_given() -> None:
    assert not is_of_projections(None, (), NOTHING)
    assert not is_of_projections(None, (), ("synthetic", None, None, None))
    assert is_of_projections("2h", (), NOTHING)
    assert is_of_projections("2h", ("trends",), NOTHING)


def test_a_dataset_and_a_moment_together_are_refused() -> None:
    with pytest.raises(UserError, match="not both at once"):
        is_of_projections("2h", (), ("synthetic", None, None, None))


def test_projections_without_a_moment_are_refused() -> None:
    with pytest.raises(UserError, match="tideline replay --from beginning timelines content"):
        is_of_projections(None, ("timelines", "content"), NOTHING)


def test_projections_are_chosen_by_name() -> None:
    assert chosen(()) == ("timelines", "content", "engagement", "trends")
    assert chosen(("trends", "timelines")) == ("timelines", "trends")
    with pytest.raises(UserError, match="no projection 'archive'"):
        chosen(("archive",))
