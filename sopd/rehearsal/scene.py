"""A scene: one enterprise in the sandbox, one daemon beside it, published SOPs, and the clock both follow.

Everything lives in one folder: the settings an operator would write, the database, the daemon's log.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from machines.calendar import DAY_MS, Instant
from machines.sop import tag_names
from sopd import bootstrap, config, pace
from sopd.commands import ApplySop, CreateToken, StartSop
from sopd.definitions import parse_sop, read
from sopd.handlers import sops, tokens
from sopd.rehearsal.process import DaemonProcess, free_port
from sopd.sandbox.clock import CoordinatedClock
from sopd.sandbox.config import SandboxConfig
from sopd.sandbox.faults import Faults, Rate
from sopd.sandbox.letters import PostHabits
from sopd.sandbox.people import Plan, Population
from sopd.sandbox.server import CompanyDoor, SandboxServer, serve
from sopd.sandbox.world import World
from sopd.store import Store
from sopd.store.migrate import migrate
from sopd.web.app import CALLBACK_PATH

WHO = "rehearsal"


@dataclass(frozen=True)
class SceneOptions:
    """What is rehearsed. `began_at` is where the clock starts; `days` is how long it runs."""

    sops: tuple[Path, ...]
    began_at: Instant
    days: int
    plan: Plan = field(default_factory=Plan)
    sandbox: SandboxConfig = field(default_factory=SandboxConfig)
    habits: PostHabits = field(default_factory=PostHabits)
    rates: tuple[Rate, ...] = ()
    seed: str = "sopd"
    store_url: str | None = None


class Scene:
    """Set up by `open`, played until `finished`, taken down by `close`."""

    def __init__(self, options: SceneOptions, folder: Path) -> None:
        self.options = options
        self.folder = folder = folder.resolve()  # in the settings, relative paths count from the settings' file
        self.world = World(options.seed, options.sandbox, options.began_at, options.habits)
        self.population = Population(self.world, options.plan)
        self._stock_tags()
        self._port = free_port()
        url = f"http://127.0.0.1:{self._port}"
        self._company = CompanyDoor(url)
        self.sandbox: SandboxServer = serve(
            self.world,
            self.population,
            url + CALLBACK_PATH,
            faults=Faults(options.seed, options.rates),
            coordinated=True,
            until=options.began_at + options.days * DAY_MS,
            company=self._company,
        )
        self.config = folder / "sopd.toml"
        self.config.write_text(self._settings_text(), encoding="utf-8")
        self.settings = config.load(self.config, {})
        self.store: Store = bootstrap.open_store(self.settings)
        self.daemon = DaemonProcess(self.config, url, folder / "daemon.log")

    def open(self) -> None:
        """Database, sandbox, published SOPs, daemon: in this order."""
        migrate(self.store)
        self.store.set_clock(self.options.began_at)
        self.sandbox.start()
        app = bootstrap.build_app(self.settings, self.store)
        try:
            self._company.token = tokens.create(app, CreateToken(WHO, ("events:write", "messages:write"), WHO))
            for path in self.options.sops:
                applied = sops.apply(app, ApplySop(path.name, path.read_text(encoding="utf-8"), WHO))
                sops.start(app, StartSop(applied.key, WHO))
        finally:
            app.wecom.close()
        self.daemon.start()

    @property
    def now(self) -> Instant:
        """The time of the scene."""
        return self.sandbox.clock.now()

    @property
    def finished(self) -> bool:
        """Whether the clock has run to its end with everybody idle. Raises what the sandbox died of."""
        if self.sandbox.stage.failure is not None:
            raise self.sandbox.stage.failure
        return isinstance(self.sandbox.clock, CoordinatedClock) and self.sandbox.clock.finished

    def kill_daemon(self) -> None:
        """kill -9, start again, and tell the clock that the dead process will not report any more."""
        name = pace.name_of(self.daemon.pid)
        self.daemon.kill()
        if isinstance(self.sandbox.clock, CoordinatedClock):
            self.sandbox.clock.deregister(name)
        self.daemon.start()

    def close(self) -> None:
        """Stop both, whatever state they are in."""
        self.daemon.stop()
        self.sandbox.stop()
        self.store.close()

    def _stock_tags(self) -> None:
        """The administrator has made every tag the SOPs speak of."""
        for path in self.options.sops:
            for name in sorted(tag_names(parse_sop(read(path)))):
                self.world.stock_tag(name, now=self.options.began_at)

    def _settings_text(self) -> str:
        sandbox = self.options.sandbox
        url = self.options.store_url or f"sqlite:///{self.folder / 'sopd.db'}"
        return f"""# Settings of a rehearsal.
{sandbox.settings(self.sandbox.url)}

[store]
url = "{url}"

[web]
host = "127.0.0.1"
port = {self._port}

[quota]
mode = "{sandbox.quota}"
"""
