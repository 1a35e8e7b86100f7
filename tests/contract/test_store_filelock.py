"""One daemon per SQLite file, however it dies; PostgreSQL takes any number."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sopd.store import SecondDaemon, Store, Unreachable
from sopd.store.filelock import hold
from sopd.store.migrate import migrate
from sopd.store.tables import Counter
from tests.support.factories import add

_HOLDER = """
import sys
from sopd.store import Store
from sopd.store.filelock import hold
with hold(Store.open(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def other_daemon(url: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the store until the block ends."""
    command = [sys.executable, "-c", _HOLDER, url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process


def test_a_second_daemon_is_told_who_the_first_is(store: Store, store_url: str) -> None:
    with other_daemon(store_url) as first:
        if store.dialect.name == "postgres":
            with hold(store):
                pass
            return
        with pytest.raises(SecondDaemon, match=f"process {first.pid} already runs sopd on /.*store.db"), hold(store):
            pass
        with pytest.raises(SecondDaemon):
            migrate(store)
        add(store, Counter, key="the command line goes on beside it", n=1)
    with hold(store):
        pass


def test_a_killed_daemon_leaves_no_lock(store: Store, store_url: str) -> None:
    with other_daemon(store_url) as first:
        first.send_signal(signal.SIGKILL)
        first.wait()
        with hold(store):
            pass


def test_the_daemon_migrates_under_its_own_lock(bare_url: str) -> None:
    bare = Store.open(bare_url)
    with hold(bare):
        assert migrate(bare)
        with hold(bare):
            pass
    bare.close()


def test_a_folder_that_cannot_be_written_is_named() -> None:
    store = Store.open("sqlite:////nowhere/x.db")
    with pytest.raises(Unreachable, match=r"cannot write /nowhere/x\.db\.lock"), hold(store):
        pass


def test_a_new_database_file_is_its_owners_alone(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/new.db")
    migrate(store)

    assert {file.name: oct(file.stat().st_mode & 0o777) for file in tmp_path.iterdir()}["new.db"] == "0o600"
    store.close()
