"""Production mode in real time: the sandbox as WeCom on the host's clock, a fleet of processes, customers who come.

Every customer who adds the member is greeted within seconds, through the web, PostgreSQL, whoever works, and WeCom.
What the sandbox's books say of the greetings is what customers saw.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from sopd import bootstrap, config, jobs
from sopd.commands import ApplySop, StartSop
from sopd.handlers import sops, upkeep
from sopd.rehearsal.process import free_port
from sopd.sandbox.config import SandboxConfig
from sopd.sandbox.server import serve
from sopd.sandbox.world import World
from sopd.store import Store
from sopd.store.migrate import migrate
from sopd.web.app import CALLBACK_PATH
from tests.support.fleet import Fleet, Member

WHO = "tester"
MEMBER = "alice"
SOP = """
sop: street
title: 新客户
kind: new_customer
steps:
  - {id: hello, by: welcome, text: 您好}
  - {id: later, after: 2h, by: remind, text: 回访}
"""


class Street:
    """One company; `fleet` has its settings, and its processes once they are started."""

    def __init__(self, folder: Path, store_url: str, broker_url: str, engine: str = "") -> None:
        began = time.time_ns() // 1_000_000
        self.world = World("street", SandboxConfig(), began)
        self.world.hire(MEMBER)
        self.port = free_port()
        self.sandbox = serve(self.world, None, f"http://127.0.0.1:{self.port}{CALLBACK_PATH}").start()
        more = f"{self.world.config.settings(self.sandbox.url)}\n[engine]\n{engine}"
        self.fleet = Fleet(folder, store_url, broker_url, more)
        self.settings = config.load(self.fleet.config, {})
        self.store: Store = bootstrap.open_store(self.settings)
        migrate(self.store)
        app = bootstrap.build_app(self.settings, self.store)
        key = sops.apply(app, ApplySop("street.yaml", SOP, WHO)).key
        sops.start(app, StartSop(key, WHO))
        upkeep.ensure_jobs(app)
        while jobs.run_once(app):  # the first full read is over before anybody comes: whom it finds gets no greeting
            pass
        app.wecom.close()
        self._came = 0

    def open(self, *commands: str) -> list[Member]:
        """Start these processes; the web among them is the one that hears of customers."""
        return self.fleet.start_all(*commands, port=self.port)

    def come(self, count: int) -> None:
        """So many new customers add the member."""
        with self.sandbox.stage.gateway.lock:
            for _ in range(count):
                self._came += 1
                self.world.customer_adds(MEMBER, f"wm{self._came:04}", now=self.sandbox.clock.now())

    def greetings(self) -> list[int]:
        """How many greetings each customer has had who came."""
        with self.sandbox.stage.gateway.lock:
            return [len(row["welcomes"]) for row in self.world.account().values()]

    def all_greeted(self) -> bool:
        """Whether nobody waits for a greeting."""
        told = self.greetings()
        return len(told) == self._came and all(told)

    def states(self, step: str) -> list[str]:
        """What the engine says of this step's pushes."""
        with self.store.reading() as tx:
            return [row[0] for row in tx.rows("select state from push where step_id = ? order by id", (step,))]

    def until(self, condition: Callable[[], bool], within_s: float = 40.0) -> None:
        """Wait; raises with the processes' last words if it does not come."""
        pause, deadline = threading.Event(), time.monotonic() + within_s
        while not condition():
            if time.monotonic() > deadline:
                words = "\n".join(member.last_words(1500) for member in self.fleet.members)
                raise AssertionError(f"greetings {self.greetings()}, pushes {self.states('hello')}:\n{words}")
            pause.wait(0.05)

    def close(self) -> None:
        """Stop everything."""
        self.fleet.stop()
        self.sandbox.stop()
        self.store.close()
