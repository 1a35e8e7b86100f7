"""The engine of one round: three hosts with their processes, the sandbox as WeCom, and the clock all of them follow.

Virtual time (ARCHITECTURE 7): every process registers with the sandbox's clock, which jumps when all are idle. Who is
killed or frozen is deregistered at once, so the clock goes on without him, past his leases; who is thawed finds that
the clock does not know him any more and registers anew. So that an outage of seconds does not become one of days, the
brake holds the clock once it has run on for as long as the outage may last: it takes part and never says that it idles.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import httpx

from sopd import bootstrap, config
from sopd.commands import ApplySop, CreateToken, StartSop
from sopd.handlers import sops, tokens
from sopd.sandbox.clock import CoordinatedClock, Report
from sopd.sandbox.faults import Faults
from sopd.sandbox.letters import PostHabits
from sopd.sandbox.people import Population
from sopd.sandbox.server import SandboxServer
from sopd.sandbox.stage import Stage
from sopd.sandbox.tidings import Kind
from sopd.sandbox.world import World
from tests.chaos.backends import Backends
from tests.chaos.hosts import Host
from tests.chaos.namespaces import Namespace
from tests.chaos.plot import Plot
from tests.chaos.processes import EngineProcess

WHO = "chaos"
BRAKE = "brake"
LAYOUT = (
    (("run", "--role", "web"), ("worker",)),
    (("run", "--role", "ticker"), ("worker",)),
    (("run", "--role", "ticker"), ("worker",)),
)
"""What runs on each host: two tickers in all, no leader."""


class Cluster:
    """Set up by `open`, kept alive by `mend`, taken down by `close`."""

    def __init__(self, plot: Plot, backends: Backends, folder: Path) -> None:
        self.plot, self.backends, self.folder = plot, backends, folder
        self.world = World(plot.seed, plot.sandbox, plot.began_at, plot.habits)
        self.population = Population(self.world, plot.plan)
        for name in plot.tag_names():
            self.world.stock_tag(name, now=plot.began_at)
        self.faults = Faults(plot.seed)
        self._token = ""
        stage = Stage(
            self.world, self.population, deliver=self._deliver, push=self._tell, faults=self.faults, parallel=4
        )
        self.clock = CoordinatedClock(plot.began_at, stage.surroundings(), until=plot.until)
        names = [f"host-{nth}" for nth in range(1, len(LAYOUT) + 1)]
        self.hosts = [Host(name, folder, Namespace.made(name)) for name in names]
        listening = [host.listening for host in self.hosts if host.listening is not None]
        self.sandbox = SandboxServer(stage, self.clock, more=listening)
        self.processes = [
            EngineProcess(host, words, folder / f"{host.name}-{words[-1]}.log")
            for host, some in zip(self.hosts, LAYOUT, strict=True)
            for words in some
        ]
        self._brake_at: int | None = None
        self._brake_said_s = 0.0

    # -- life --------------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Database, published SOPs, sandbox, processes: in this order; back when every process follows the clock."""
        self.backends.fresh()
        for host in self.hosts:
            port = self.sandbox.port if host.listening is None else host.listening.getsockname()[1]
            host.config.write_text(self._settings_text(port, host.web_port), encoding="utf-8")
        own = self.folder / "sopd.toml"
        own.write_text(self._settings_text(self.sandbox.port, 0), encoding="utf-8")
        self.settings = config.load(own, {})
        self.store = bootstrap.open_store(self.settings)
        self.store.set_clock(self.plot.began_at)
        app = bootstrap.build_app(self.settings, self.store)
        self.sandbox.start()
        try:
            self._token = tokens.create(app, CreateToken(WHO, ("events:write", "messages:write"), WHO))
            for path in self.plot.sops:
                key = sops.apply(app, ApplySop(path.name, path.read_text(encoding="utf-8"), WHO)).key
                sops.start(app, StartSop(key, WHO))
        finally:
            app.wecom.close()
        self.faults.rates = self.plot.rates  # not before: `apply` leaves it to its operator to try again
        for process in self.processes:
            process.start()

    def mend(self) -> None:
        """What systemd does: whoever ended is started again. Raises what the sandbox died of."""
        if self.sandbox.stage.failure is not None:
            raise self.sandbox.stage.failure
        for process in self.processes:
            if (name := process.mend()) is not None:
                self.clock.deregister(name)
        self._hold()

    def stop(self) -> dict[str, int]:
        """SIGTERM for all at once; the exit code of each."""
        for process in self.processes:
            process.thaw()
            process.terminate()
        return {process.title: process.ended() for process in self.processes}

    def close(self) -> None:
        """End everything, whatever state it is in."""
        for process in self.processes:
            process.kill()
        self.sandbox.stop()
        for host in self.hosts:
            host.close()
        if hasattr(self, "store"):
            self.store.close()

    # -- attacks on processes -----------------------------------------------------------------------------------------

    def kill(self, process: EngineProcess) -> None:
        """kill -9, and the clock learns of it."""
        if (name := process.kill()) is not None:
            self.clock.deregister(name)

    def freeze(self, process: EngineProcess) -> None:
        """SIGSTOP, and the clock goes on without it."""
        process.freeze()
        self.clock.deregister(process.clock_name or "")

    # -- time --------------------------------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        return self.clock.now()

    @property
    def is_whole(self) -> bool:
        """Whether every process lives and follows the clock."""
        known = self.clock.participants
        return all(process.is_running and process.clock_name in known for process in self.processes)

    def brake_at(self, at: int | None) -> None:
        """Do not let the clock run on past this instant, until told otherwise; None lets it run."""
        self._brake_at = at
        if at is None:
            self.clock.deregister(BRAKE)

    def _hold(self) -> None:
        if self._brake_at is None or self.now < self._brake_at:
            return
        if BRAKE not in self.clock.participants:
            self.clock.register(BRAKE, real_s=time.monotonic())
        elif time.monotonic() - self._brake_said_s > 1:
            self._brake_said_s = time.monotonic()
            self.clock.report(BRAKE, Report(False, None, 0), real_s=time.monotonic())

    # -- WeCom and the company's own systems, on their way in --------------------------------------------

    def calm(self) -> None:
        """From now on nothing goes wrong any more on the line to WeCom and back."""
        with self.sandbox.stage.gateway.lock:
            self.faults.clear()
            self.world.mailbox.habits = PostHabits()

    def _webs(self) -> Sequence[Host]:
        return [process.host for process in self.processes if process.is_web]

    def _deliver(self, query: Any, body: bytes) -> int:
        return next((status for host in self._webs() if (status := host.deliver(dict(query), body))), 0)

    def _tell(self, kind: Kind, bodies: list[dict[str, Any]]) -> tuple[int, Collection[int]]:
        for host in self._webs():
            response: httpx.Response = host.tell(kind, self._token, bodies)
            if response.status_code == 202:
                return 202, [int(one["index"]) for one in response.json()["refused"]]
        return 0, ()

    def _settings_text(self, port: int, web_port: int) -> str:
        sandbox = self.plot.sandbox
        return f"""# Settings of one host of a chaos round.
{sandbox.settings(f"http://127.0.0.1:{port}")}

[store]
url = "{self.backends.store_url}"
connections = 8

[broker]
url = "{self.backends.broker_url}"

[engine]
worker_threads = 2
tick_ms = {self.plot.tick_ms}

[web]
port = {web_port}

[quota]
mode = "{sandbox.quota}"
"""
