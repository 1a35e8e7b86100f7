"""What every handler and loop is given: the open store, WeCom, the doorbell and the company's fixed facts.

Filled once by `sopd.bootstrap`; nothing here reads the environment, a file or a clock.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from machines.calendar import QuietHours
from machines.quota import Quota
from machines.reasons import Language
from machines.sop import Program, Sop, compile_program
from machines.workdays import Workdays
from sopd.config import Settings
from sopd.handlers.catalogue import LIVE, Catalogue, RunningSop, build
from sopd.store import Store, Transaction
from sopd.wecom import WeCom

Ring = Callable[[str], None]


@dataclass(frozen=True)
class Company:
    """The company's fixed facts (SPEC 5): zone, quiet hours, workdays, quota mode, most tasks of a member a day.

    `language` is the one in which members are spoken to.
    """

    zone: str
    quiet: QuietHours
    workdays: Workdays
    quota: Quota
    tasks_per_member_day: int | None = None
    language: Language = "zh"


class Programs:
    """Compiled programs by version id. A version never changes, so a compiled one is kept for good."""

    def __init__(self, company: Company) -> None:
        self._company = company
        self._compiled: dict[int, Program] = {}
        self._catalogue: tuple[list[tuple[Any, ...]], Catalogue] | None = None
        self._lock = threading.Lock()

    def compile(self, sop: Sop, tag_ids: dict[str, str]) -> Program:
        """The program of a definition under this company's calendar; `tag_ids` binds tag names (D25)."""
        company = self._company
        return compile_program(
            sop, zone=company.zone, company_quiet=company.quiet, workdays=company.workdays, tag_ids=tag_ids,
            shares_days=company.quota.mode != "day",
        )

    def get(self, tx: Transaction, version_id: int) -> Program:
        """The program of one published version. Reads the store only the first time."""
        return self.all(tx, [version_id])[version_id]

    def all(self, tx: Transaction, version_ids: Sequence[int]) -> dict[int, Program]:
        """The programs of these versions, by id, with at most one query."""
        missing = sorted({v for v in version_ids if v not in self._compiled})
        if missing:
            given = tx.ids(missing)
            found = tx.rows(
                f"select id, program from sop_version where id in (select id from {given.sql} g)", given.params
            )
            with self._lock:
                for version_id, text in found:
                    self._compiled[version_id] = self._from_row(text)
        return {v: self._compiled[v] for v in version_ids}

    def running(self, tx: Transaction) -> tuple[RunningSop, ...]:
        """Every SOP that takes entries or records them (running, paused), highest priority first, then lowest id."""
        return tuple(sop for sop in self.catalogue(tx).live.values() if sop.state != "initialising")

    def catalogue(self, tx: Transaction, *, holding: bool = False) -> Catalogue:
        """Every SOP as it is now. One narrow read; what is known about them is made anew only where they have changed.

        `holding`: nobody starts, pauses, resumes or stops one until this transaction is committed.
        """
        sharing = " for share" if holding and not tx.dialect.one_writer else ""
        rows = tx.rows(f"select id, key, version_id, kind, state, started_at from sop order by id{sharing}")
        known = self._catalogue
        if known is None or known[0] != rows:
            self._catalogue = known = (rows, self._catalogued(tx, rows))
        return known[1]

    def _catalogued(self, tx: Transaction, rows: Sequence[tuple[Any, ...]]) -> Catalogue:
        live = [row for row in rows if row[4] in LIVE]
        asking = [row[0] for row in tx.rows(
            "select v.id from sop_version v join sop s on s.id = v.sop_id where s.state in"
            " ('initialising', 'running', 'paused') and (v.program like ? or v.program like ?)",
            ('%"in_sop"%', '%"ended_sop"%'),
        )]  # fmt: skip
        programs = self.all(tx, [*[row[2] for row in live], *asking])
        sops = [RunningSop(*row, program=programs[row[2]]) for row in live]
        return build(rows, sops, [programs[version_id] for version_id in asking])

    def _from_row(self, text: str) -> Program:
        stored = json.loads(text)
        return self.compile(Sop.model_validate(stored["sop"]), stored["tag_ids"])


@dataclass(frozen=True)
class App:
    """One company's engine. `ring` wakes an actor by name, best effort; call it only after a commit."""

    settings: Settings
    store: Store
    wecom: WeCom
    company: Company
    programs: Programs
    ring: Ring = field(default=lambda name: None)
