"""Jobs of several namespaces in one home: which come back, which find slots, which are cancelled."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines.jobs import JOB_TOPICS
from stack import bring_up, jobs, lifecycle, submission
from stack.commands.jobs import app
from stack.errors import UserError
from stack.jobs import JobControl, stream_jobs
from stack.plan import Plan
from stack.settings import StackSection, StackSettings
from stack.state import ProcessRef, StackState, write_state
from stack.wanted import WantedJob, WantedJobs
from timelines.settings import Projections

BUILT = Projections(content="harbour.20261121T140000")


class Cluster:
    """A cluster that takes every job, as its overview and the client's submissions show it."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.running: list[str] = []
        self.answers = True

    def overview(self, url: str, timeout: float) -> dict[str, list[dict[str, object]]]:
        if not self.answers:
            raise OSError("refused")
        return {
            "jobs": [
                {"jid": title, "name": title, "state": "RUNNING", "start-time": 1} for title in self.running
            ]
        }

    def submit(self, plan: Plan, starts: Mapping[WantedJob, Path | None]) -> list[str]:
        self.running += [job.title for job in starts]
        return []

    def restart(self) -> None:
        """Its jobs are gone; it does not answer yet."""
        self.running, self.answers = [], False


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setenv("TIDELINE_HOME", str(tmp_path))
    ports = {"flink": 18081, "kafka": 1, "valkey": 2, "postgres": 3, "mlflow": 4, "api": 5}
    plan = Plan(
        home=tmp_path, java=Path(), jars=Path(), ports=ports, servers=("flink",), stack=StackSection(slots=10)
    )
    cluster = Cluster(plan)
    monkeypatch.setattr(jobs, "get_json", cluster.overview)
    monkeypatch.setattr(submission, "submit", cluster.submit)
    return cluster


@pytest.fixture
def running(cluster: Cluster) -> Iterator[Plan]:
    """The plan of a stack whose supervisor lives, serving ``harbour``."""
    plan = cluster.plan
    plan.layout.run.mkdir()
    plan.layout.plan.write_text(plan.model_dump_json())
    plan.layout.addresses.write_text('namespace = "harbour"\n')
    with subprocess.Popen(["sleep", "600"]) as supervisor:
        process = ProcessRef.of(supervisor.pid)
        assert process is not None
        write_state(plan.layout.state, StackState(process, []))
        yield plan
        supervisor.kill()


def titles(namespace: str, names: Sequence[str] = JOB_TOPICS) -> list[str]:
    return [f"{namespace}-{name}" for name in names]


def jobs_of(namespace: str) -> list[WantedJob]:
    return stream_jobs(namespace, JOB_TOPICS)


@pytest.mark.parametrize(("first", "second"), [("harbour", "town"), ("town", "harbour")])
def test_a_restarted_cluster_gets_the_jobs_of_the_namespace_that_is_served_alone(
    cluster: Cluster, running: Plan, first: str, second: str
) -> None:
    control = JobControl(cluster.plan)
    for namespace in (first, second):
        control.submit(jobs_of(namespace))
        cluster.running.clear()
    control.submit(stream_jobs("harbour", ["content"], BUILT))
    cluster.restart()
    outcome = CliRunner().invoke(app, ["resume"])
    assert outcome.exit_code == 0, outcome.output
    assert set(cluster.running) == {*titles("harbour"), f"{BUILT.content}-content"}


def test_a_namespace_whose_jobs_find_no_slots_is_refused_with_the_way_out(cluster: Cluster) -> None:
    control = JobControl(cluster.plan)
    control.submit(jobs_of("town"))
    with pytest.raises(UserError) as refused:
        control.submit(jobs_of("harbour"))
    assert str(refused.value) == (
        "With the jobs of another namespace that run, 14 slots are needed, and the stack has 10: end those "
        "by `TIDELINE_NAMESPACE=town tideline jobs cancel`."
    )
    assert set(cluster.running) == set(titles("town"))
    assert control.known("harbour") == []
    control.submit(jobs_of("harbour")[:3])
    assert len(cluster.running) == 10


def test_jobs_of_one_namespace_are_never_refused_for_slots(cluster: Cluster) -> None:
    cluster.plan = cluster.plan.model_copy(update={"stack": StackSection(slots=2)})
    assert len(JobControl(cluster.plan).submit(jobs_of("town"))) == len(JOB_TOPICS)


def test_a_running_stack_is_not_given_a_namespace_whose_jobs_find_no_slots(
    cluster: Cluster, running: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    control = JobControl(cluster.plan)
    control.submit(jobs_of("town"))
    cluster.running.clear()
    control.submit(jobs_of("harbour"))
    reloaded: list[str] = []
    monkeypatch.setattr(lifecycle, "reload", lambda plan, choices, report: reloaded.append(choices.namespace))
    with pytest.raises(UserError, match="TIDELINE_NAMESPACE=harbour tideline jobs cancel"):
        bring_up.bring_up(StackSettings(), "town", ("flink",), (), False, lambda line: None)
    assert reloaded == []


def test_cancelling_a_namespace_ends_what_it_builds_beside_and_leaves_the_others(
    cluster: Cluster, running: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    control = JobControl(cluster.plan)
    control.submit(stream_jobs("town", ["content"]))
    control.submit(stream_jobs("harbour", ["content", "trends"]))
    control.submit(stream_jobs("harbour", ["content"], BUILT))

    def end(control: JobControl, ended: Sequence[str], patience: float) -> list[str]:
        gone = [title for title in cluster.running if title in ended]
        cluster.running = [title for title in cluster.running if title not in ended]
        return gone

    monkeypatch.setattr(JobControl, "_cancel", end)
    assert CliRunner().invoke(app, ["cancel", "trends"]).exit_code == 0
    assert set(cluster.running) == {"town-content", "harbour-content", f"{BUILT.content}-content"}
    assert CliRunner().invoke(app, ["cancel"]).exit_code == 0
    assert cluster.running == ["town-content"]
    assert WantedJobs(cluster.plan.layout).running() == stream_jobs("town", ["content"])
