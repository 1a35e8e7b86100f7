"""A whole sopd on a virtual clock, in one process: the real engine, the sandbox as WeCom, time that jumps.

Flow tests, random histories and the benches drive it. Nothing sleeps and nothing runs in the background: `run_until`
lets people act, delivers callbacks, works every loop off, and then jumps to the next instant at which anything is due.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from machines.calendar import Instant
from sopd import bootstrap, config
from sopd.actors import LOOPS
from sopd.commands import ApplySop, StartSop
from sopd.crypto import CallbackRejected
from sopd.handlers import sops, tokens, upkeep
from sopd.sandbox.config import SandboxConfig
from sopd.sandbox.faults import Faults
from sopd.sandbox.people import Population
from sopd.sandbox.stage import Stage
from sopd.sandbox.tidings import Kind
from sopd.sandbox.transport import SandboxTransport
from sopd.sandbox.world import World
from sopd.store import Store
from sopd.store.tables import Token
from sopd.web.api import Api
from sopd.web.api.problems import Problem
from sopd.wecom.callbacks import parse

SHANGHAI = ZoneInfo("Asia/Shanghai")
WHO = "tester"
SECRET = "sopd_rig"
TOKEN = {
    "name": "rig", "hash": tokens.hash_of(SECRET), "scopes": "events:write messages:write", "created_by": WHO,
}  # fmt: skip


def at(text: str) -> Instant:
    """The instant of a Shanghai time such as `2026-03-02 09:00` (seconds allowed)."""
    return round(dt.datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).timestamp() * 1000)


def settings_for(sandbox: SandboxConfig, **sections: object) -> config.Settings:
    """Settings of a daemon that talks to this sandbox; whole sections may be replaced by name."""
    wecom = config.Wecom(
        corp_id=sandbox.corp_id,
        agent_id=sandbox.agent_id,
        secret=sandbox.secret,
        token=sandbox.callback_token,
        encoding_aes_key=sandbox.encoding_aes_key,
        api_base="http://127.0.0.1:1",
    )
    known = {"wecom": wecom, "quota": config.Quota(mode=sandbox.quota)}
    return replace(config.Settings(), **{**known, **sections})


class Rig:
    """One company: `world` is WeCom and its people, `engine` is sopd. `store` must have its schema already."""

    def __init__(
        self,
        store: Store,
        world: World,
        start: Instant,
        *,
        population: Population | None = None,
        faults: Faults | None = None,
        settings: config.Settings | None = None,
    ) -> None:
        self.store = store
        self.world = world
        self.now = start
        store.set_clock(start)
        self.stage = Stage(world, population, deliver=self._deliver, push=self.push, faults=faults)
        self.transport = SandboxTransport(self.stage.gateway, lambda: self.now)
        self.settings = settings or settings_for(world.config)
        self.engine = bootstrap.build(self.settings, store, transport=self.transport)
        self.app = replace(self.engine.app, ring=lambda name: None)
        self.engine.ticker.app = self.app
        self.api = Api(self.app, self.engine.activity)
        self.watch: Callable[[Rig], None] | None = None
        """Called after every instant at which something happened, e.g. to check invariants."""
        upkeep.ensure_jobs(self.app)
        with store.transaction() as tx:
            tx.insert(Token, [TOKEN | {"created_at": start}], on_conflict="ignore")

    # -- what an operator does ---------------------------------------------------------------------------------------

    def publish(self, *files: Path | tuple[str, str]) -> None:
        """Apply and start SOPs, given as files or as (name, text)."""
        for file in files:
            name, text = (file.name, file.read_text(encoding="utf-8")) if isinstance(file, Path) else file
            applied = sops.apply(self.app, ApplySop(name, text, WHO))
            sops.start(self.app, StartSop(applied.key, WHO))

    # -- time ------------------------------------------------------------------------------------------------------

    def run_until(self, until: Instant) -> None:
        """Let everything happen up to and including `until`; ends with the clock there."""
        while True:
            self.settle()
            upcoming = [at for at in (self.stage.next_at(), self.engine.ticker.look().next_at) if at is not None]
            following = min((at for at in upcoming if at > self.now), default=None)
            if following is None or following > until:
                break
            self._go_to(following)
        self._go_to(max(until, self.now))
        self.settle()

    def run_for(self, **duration: float) -> None:
        """`run_until` this long from now, e.g. `run_for(days=2)`."""
        self.run_until(self.now + round(dt.timedelta(**duration).total_seconds() * 1000))

    def settle(self) -> None:
        """Work off all that is due now, on both sides, without moving the clock."""
        worked = True
        while worked:
            worked = bool(self.stage.step(self.now))
            for loop in LOOPS:
                while loop.run(self.app):
                    worked = True
        if self.watch is not None:
            self.watch(self)

    def _go_to(self, instant: Instant) -> None:
        self.now = instant
        self.store.set_clock(instant)

    # -- the line between the two --------------------------------------------------------------------------------------

    def push(self, kind: Kind, bodies: list[dict[str, Any]]) -> tuple[int, Collection[int]]:
        """What the company's own systems report of what people say and do, as over HTTP."""
        try:
            status, answer = self.api.take(f"/{kind}", f"Bearer {SECRET}", json.dumps(bodies).encode())
        except Problem as problem:
            return int(problem.status), ()
        return int(status), [one["index"] for one in answer["refused"]]

    def _deliver(self, query: Mapping[str, str], body: bytes) -> int:
        crypto = self.engine.crypto
        assert crypto is not None
        try:
            plain = crypto.open(query["msg_signature"], query["timestamp"], query["nonce"], body)
        except CallbackRejected:
            return 403
        self.engine.accept([parse(plain)])
        return 200
