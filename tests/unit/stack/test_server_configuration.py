"""What the servers are told: loopback only, the plan's ports, bounded memory."""

from __future__ import annotations

import pwd
import signal
import tomllib
from pathlib import Path

import pytest

from pipelines.settings import StreamSettings
from serving.settings import ServingSettings
from stack import addresses
from stack.addresses import Choices
from stack.fleet import servers
from stack.plan import SERVERS, Plan
from stack.server import Server
from stack.servers import flink, kafka, postgres
from stack.settings import StackSection, StackSettings

PORTS = {
    "kafka": 19092,
    "valkey": 16379,
    "postgres": 15432,
    "flink": 18081,
    "mlflow": 15000,
    "api": 18080,
    "kafka_controller": 19093,
    "flink_rpc": 16123,
}


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return Plan(
        home=tmp_path / "home",
        java=tmp_path / "java",
        jars=tmp_path / "jars",
        ports=PORTS,
        servers=SERVERS,
        stack=StackSection(),
    )


def by_name(plan: Plan) -> dict[str, Server]:
    return {server.name: server for server in servers(plan)}


def test_a_plan_survives_its_file(plan: Plan) -> None:
    assert Plan.model_validate_json(plan.model_dump_json()) == plan


def test_every_server_of_the_plan_becomes_a_process(plan: Plan) -> None:
    flink_servers = {"jobmanager", "taskmanager"}
    assert set(by_name(plan)) == {"kafka", "valkey", "postgres", "mlflow", "relay", "api"} | flink_servers


def test_servers_left_out_are_not_started(plan: Plan) -> None:
    assert set(by_name(plan.model_copy(update={"servers": ("valkey",)}))) == {"valkey"}


def test_kafka_listens_on_the_plans_ports_on_loopback_only(plan: Plan) -> None:
    lines = kafka.properties(plan, plan.home / "kafka").splitlines()
    assert "listeners=PLAINTEXT://127.0.0.1:19092,CONTROLLER://127.0.0.1:19093" in lines
    assert "auto.create.topics.enable=false" in lines


def test_kafkas_heap_is_bounded(plan: Plan) -> None:
    assert "-Xmx320m" in by_name(plan)["kafka"].command


def test_valkey_keeps_an_append_only_file_and_listens_on_loopback_only(plan: Plan) -> None:
    command = by_name(plan)["valkey"].command
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert options["--appendonly"] == "yes"
    assert options["--appendfsync"] == "everysec"
    assert options["--bind"] == "127.0.0.1"
    assert options["--port"] == "16379"


def test_postgresql_listens_on_loopback_only_in_bounded_memory(plan: Plan) -> None:
    server = by_name(plan)["postgres"]
    options = set(server.command)
    assert {"--listen_addresses=127.0.0.1", "--port=15432", "--unix_socket_directories="} <= options
    assert {"--shared_buffers=64MB", "--max_connections=48"} <= options
    assert server.stop_signal is signal.SIGINT


def test_postgresql_runs_as_nobody_where_root_starts_it_and_else_as_whoever_does(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    plan.home.mkdir()
    plan.home.chmod(0o755)
    as_root = postgres.command(plan.home / "postgres", 1, 64)
    assert as_root[0] == "/usr/bin/setpriv"
    assert f"--reuid={pwd.getpwnam('nobody').pw_uid}" in as_root
    plan.home.chmod(0o700)
    assert "--ambient-caps=-all,+dac_override" in postgres.command(plan.home / "postgres", 1, 64)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert postgres.command(plan.home / "postgres", 1, 64)[0].endswith("/bin/postgres")


def test_the_relay_waits_for_the_servers_of_the_stack_that_it_stands_between(plan: Plan) -> None:
    assert by_name(plan)["relay"].after == ("kafka", "postgres")
    elsewhere = plan.model_copy(update={"servers": ("kafka", "relay")})
    assert by_name(elsewhere)["relay"].after == ("kafka",)


def test_flink_binds_every_interface_it_has_to_loopback(plan: Plan) -> None:
    configuration = flink.configuration(plan)
    for key in ("jobmanager.bind-host", "taskmanager.bind-host", "rest.bind-address"):
        assert configuration[key] == "127.0.0.1"
    assert configuration["rest.port"] == 18081


def test_flink_shares_pyflinks_classes_between_jobs(plan: Plan) -> None:
    patterns = str(flink.configuration(plan)["classloader.parent-first-patterns.additional"]).split(";")
    assert "pemja." in patterns
    assert "org.apache.flink.python." in patterns


def test_flink_keeps_the_checkpoints_of_jobs_that_end(plan: Plan) -> None:
    retention = flink.configuration(plan)["execution.checkpointing.externalized-checkpoint-retention"]
    assert retention == "RETAIN_ON_CANCELLATION"


def test_flinks_memory_leaves_each_process_a_heap(plan: Plan) -> None:
    assert plan.stack.jobmanager_mb - sum(flink.JOBMANAGER_MB.values()) >= 256
    assert plan.stack.taskmanager_mb - sum(flink.TASKMANAGER_MB.values()) >= 512


def test_a_restarted_jobmanager_gets_its_jobs_back(plan: Plan) -> None:
    assert by_name(plan)["jobmanager"].recover[-2:] == ("jobs", "resume")


def test_flinks_class_path_is_a_folder_of_links_that_follows_the_lock(plan: Plan) -> None:
    flink.prepare(plan)
    lib = plan.home / "flink" / "lib"
    stale = lib / "flink-sql-connector-kafka-1.0.jar"
    stale.symlink_to("/nowhere")
    flink.prepare(plan)
    names = {path.name for path in lib.iterdir()}
    assert stale.name not in names
    assert any(name.startswith("flink-dist") for name in names)
    assert any(name.startswith("flink-python") for name in names)
    assert any(name.startswith("flink-sql-connector-kafka") for name in names)


def test_addresses_are_settings_that_every_process_reads(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIDELINE_HOME", str(plan.home))
    addresses.write(plan.layout, addresses.render(plan, Choices("demo", True, push_below=7, pull_above=9)))
    serving, stream, stack = ServingSettings(), StreamSettings(), StackSettings()
    assert serving.namespace == "demo"
    assert serving.kafka.bootstrap == "127.0.0.1:19092"
    assert serving.redis.url == "redis://127.0.0.1:16379/0"
    assert serving.mlflow.tracking_uri == "http://127.0.0.1:15000"
    assert serving.security.dev_login
    assert (serving.timelines.push_below, serving.timelines.pull_above) == (7, 9)
    assert stream.flink.rest == "127.0.0.1:18081"
    passfile = plan.home / "keys" / "postgres.pgpass"
    assert stack.records.dsn == f"postgresql://tideline@127.0.0.1:15432/postgres?passfile={passfile}"
    assert stack.api.url == "http://127.0.0.1:18080"


def test_every_path_in_the_addresses_lies_below_the_home(plan: Plan) -> None:
    table = tomllib.loads(addresses.render(plan, Choices()))
    paths = [table["lake"]["path"], *table["features"].values(), table["flink"]["checkpoint_dir"]]
    paths += [
        table["security"]["private_key"],
        table["security"]["public_key"],
        table["serving"]["cursor_key"],
    ]
    assert all(Path(path).is_relative_to(plan.home) for path in paths)


def test_development_logins_exist_only_where_they_were_asked_for(plan: Plan) -> None:
    assert tomllib.loads(addresses.render(plan, Choices()))["security"]["dev_login"] is False


def test_mlflow_is_given_the_variables_that_its_own_command_hands_on(plan: Plan) -> None:
    source = (flink.distribution().parent / "mlflow" / "server" / "constants.py").read_text()
    own = [name for name in by_name(plan)["mlflow"].env if name.startswith("_MLFLOW_SERVER_")]
    assert own
    assert all(f'"{name}"' in source for name in own)
