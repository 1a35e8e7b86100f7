"""What one call of the command line works with: settings, store, app, language, form of output; opened when asked for.

One `Desk` lives in click's context for the length of a call. Nothing heavy is imported before it is needed.
"""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from sopd.cli.words import Words

if TYPE_CHECKING:
    from sopd.config import Settings
    from sopd.handlers.app import App, Programs
    from sopd.store import Store, Transaction

Form = Literal["table", "tsv", "json"]
FORMS = ("table", "tsv", "json")


@dataclass
class Desk:
    """Options as given (None: not given), and what they lead to."""

    config: Path | None = None
    lang: str | None = None
    debug: bool = False
    form: Form | None = None
    who: str | None = None

    @cached_property
    def settings(self) -> Settings:
        """The settings, read once. Raises ConfigError with every fault."""
        from sopd import config

        return config.load(config.find_file(self.config, os.environ), os.environ)

    @cached_property
    def store(self) -> Store:
        """The database, at exactly this program's schema; else NoSchema, OlderSchema, NewerSchema."""
        from sopd.store import NoSchema, migrate

        file = self.database_file
        if file is not None and not file.exists():  # SQLite would make it, and an empty database helps nobody
            raise NoSchema(f"there is no file {file}")
        store = self.unchecked_store
        migrate.require(store)
        return store

    @property
    def database_file(self) -> Path | None:
        """The SQLite file of the settings, None for PostgreSQL."""
        url = self.settings.store.url
        return Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else None

    @cached_property
    def unchecked_store(self) -> Store:
        """The database as it is, for the commands that look after its schema."""
        from sopd import log
        from sopd.store import Store

        log.configure("debug" if self.debug else "error")
        chosen = self.settings.store
        return Store.open(
            chosen.url, chosen.connections, statement_timeout_ms=chosen.statement_deadline_seconds * 1000
        )

    @cached_property
    def app(self) -> App:
        """What handlers are given. Its wake-ups reach workers through Redis; without it a daemon's next tick sees work.

        That Redis is away is nothing to the command: what it did is in the database.
        """
        from sopd import bootstrap

        if self.settings.broker.in_memory:
            return bootstrap.build_app(self.settings, self.store)
        return bootstrap.build(self.settings, self.store).app

    @cached_property
    def programs(self) -> Programs:
        """Compiled versions, under this company's calendar."""
        from sopd import bootstrap
        from sopd.handlers.app import Programs

        return Programs(bootstrap.company_of(self.settings))

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """A snapshot of the database."""
        with self.store.reading() as tx:
            yield tx

    @property
    def zone(self) -> str:
        """The company's zone, in which every time is shown."""
        return self.settings.company.zone

    @property
    def person(self) -> str:
        """Who does it, for the audit."""
        if self.who:
            return self.who
        try:
            return getpass.getuser()
        except (KeyError, OSError):  # a container's user without a name
            return f"uid {os.getuid()}"

    @property
    def output(self) -> Form:
        """How rows are printed: as chosen, else for people on a terminal and for programs in a pipe."""
        return self.form or ("table" if sys.stdout.isatty() else "tsv")

    @cached_property
    def words(self) -> Words:
        """Words for people: in the language chosen, else the one of the environment."""
        return Words(self.lang or language_of(os.environ))

    @cached_property
    def column_words(self) -> Words:
        """Words for tab separated values: English unless --lang says otherwise, so that no script depends on LANG."""
        return Words(self.lang or "en")

    def close(self) -> None:
        """Close what was opened."""
        opened = vars(self)
        if "app" in opened:
            cast("App", opened.pop("app")).wecom.close()
        opened.pop("store", None)
        if "unchecked_store" in opened:
            cast("Store", opened.pop("unchecked_store")).close()


def language_of(environ: os._Environ[str] | dict[str, str]) -> str:
    """`zh` for a Chinese locale, else `en`."""
    chosen = next((environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environ.get(name)), "")
    return "zh" if chosen.lower().startswith("zh") else "en"
