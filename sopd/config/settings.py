"""Every setting there is: one frozen tree, read once at boot and handed to whom it concerns.

`config/sopd.toml` shows each with its default; a test keeps the two alike. A setting's unit is in its name; one
that hides its value may come from systemd's credentials directory and is never shown.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from machines.calendar import QuietHours
from machines.reasons import Language
from sopd.config import kinds
from sopd.config.kinds import Kind
from sopd.errors import ConfigError


def setting(kind: Kind, default: str | int) -> Any:
    """A field of a section, with its kind and its default as TOML has it."""
    return field(default=kind.from_toml(default), repr=not kind.hides, metadata={"kind": kind, "default": default})


@dataclass(frozen=True, slots=True)
class Company:
    """The company's clock. Quota windows do not follow it: they are always WeCom's (SPEC 5)."""

    zone: str = setting(kinds.zone(), "Asia/Shanghai")
    quiet_from: dt.time = setting(kinds.clock_time(), "21:00")
    quiet_until: dt.time = setting(kinds.clock_time(), "08:00")
    holidays_file: Path | None = setting(kinds.path(), "")
    language: Language = setting(kinds.choice("zh", "en"), "zh")

    @property
    def quiet_hours(self) -> QuietHours:
        """The company's quiet hours; none if they end when they begin."""
        if self.quiet_from == self.quiet_until:
            return QuietHours()
        return QuietHours(((self.quiet_from, self.quiet_until),))


@dataclass(frozen=True, slots=True)
class Wecom:
    """The self-built app through which sopd talks (WeCom 1)."""

    corp_id: str = setting(kinds.pattern(r"[A-Za-z0-9_-]{2,64}", "the CorpID"), "")
    agent_id: int = setting(kinds.number(0, 2**31, "the app's AgentId"), 0)
    secret: str = setting(kinds.pattern(r"[!-~]{1,128}", "1 to 128 visible ASCII characters", hides=True), "")
    token: str = setting(kinds.pattern(r"[A-Za-z0-9]{1,32}", "1 to 32 letters and digits", hides=True), "")
    encoding_aes_key: str = setting(kinds.pattern(r"[A-Za-z0-9]{43}", "43 letters and digits", hides=True), "")
    api_base: str = setting(kinds.web_base(), "https://qyapi.weixin.qq.com")

    @property
    def is_local(self) -> bool:
        """True if WeCom is played by a sandbox on this machine; only then may the clock be a rehearsal's."""
        return kinds.is_loopback(self.api_base)


@dataclass(frozen=True, slots=True)
class Store:
    """The database: SQLite for one process, PostgreSQL for any number."""

    url: str = setting(
        kinds.url("sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME", "sqlite:///", "postgresql://"),
        "sqlite:///sopd.db",
    )
    connections: int = setting(kinds.number(4, 500), 24)
    statement_deadline_seconds: int = setting(kinds.number(1, 3600), 60)

    @property
    def in_file(self) -> bool:
        """True if it is a SQLite file, which has exactly one daemon."""
        return self.url.startswith("sqlite:///")


@dataclass(frozen=True, slots=True)
class Broker:
    """Where wake-ups travel. In memory they reach this process only; Redis reaches all."""

    url: str = setting(
        kinds.url("memory:// or redis://HOST:PORT/DATABASE", "memory://", "redis://", "rediss://", "unix://"),
        "memory://",
    )

    @property
    def in_memory(self) -> bool:
        """True if only this process hears the wake-ups."""
        return self.url.startswith("memory://")


@dataclass(frozen=True, slots=True)
class Web:
    """Where the callback, the health checks and the metrics listen."""

    host: str = setting(kinds.pattern(r"[0-9A-Za-z.:-]+", "an address or a host name"), "127.0.0.1")
    port: int = setting(kinds.number(0, 65535), 8080)


@dataclass(frozen=True, slots=True)
class Health:
    """Where a process without a web (a ticker, a worker) answers health checks and Prometheus; port 0: nowhere."""

    host: str = setting(kinds.pattern(r"[0-9A-Za-z.:-]+", "an address or a host name"), "127.0.0.1")
    port: int = setting(kinds.number(0, 65535), 0)


@dataclass(frozen=True, slots=True)
class Quota:
    """How often WeCom lets one customer receive mass sends (SPEC 7.3)."""

    mode: str = setting(kinds.choice("day:1", "week:7", "month:days"), "day:1")
    own_sends_every_minutes: int = setting(kinds.number(0, 1440), 240)


@dataclass(frozen=True, slots=True)
class Limits:
    """The company's own limits."""

    tasks_per_member_day: int = setting(kinds.number(0, 1000), 0)


@dataclass(frozen=True, slots=True)
class Reconcile:
    """The daily full read, and when the losses it finds are held instead of applied (SPEC 15.1)."""

    at: dt.time = setting(kinds.clock_time(), "03:30")
    hold_above_relations: int = setting(kinds.number(0, 100_000), 5)
    hold_above_percent: int = setting(kinds.number(0, 100), 2)


@dataclass(frozen=True, slots=True)
class Retention:
    """How many days what is over is kept; 0: for ever. Pruned once a day, and by `sopd db prune`."""

    at: dt.time = setting(kinds.clock_time(), "04:30")
    inbox_days: int = setting(kinds.number(0, 36_500), 30)
    acts_days: int = setting(kinds.number(0, 36_500), 90)
    jobs_days: int = setting(kinds.number(0, 36_500), 90)
    runs_days: int = setting(kinds.number(0, 36_500), 730)
    signals_days: int = setting(kinds.number(0, 36_500), 730)
    refusals_days: int = setting(kinds.number(0, 36_500), 730)
    audit_days: int = setting(kinds.number(0, 36_500), 1825)


@dataclass(frozen=True, slots=True)
class Engine:
    """How the work is paced."""

    worker_threads: int = setting(kinds.number(1, 4), 4)
    tick_ms: int = setting(kinds.number(10, 60_000), 1000)
    inbox_gather_ms: int = setting(kinds.number(0, 1000), 5)
    stop_within_seconds: int = setting(kinds.number(1, 600), 25)


@dataclass(frozen=True, slots=True)
class Log:
    """What is written to standard error."""

    level: str = setting(kinds.choice("debug", "info", "warning", "error"), "info")


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole tree. `origins` tells for each `section.name` where its value came from."""

    company: Company = field(default_factory=Company)
    wecom: Wecom = field(default_factory=Wecom)
    store: Store = field(default_factory=Store)
    broker: Broker = field(default_factory=Broker)
    web: Web = field(default_factory=Web)
    health: Health = field(default_factory=Health)
    quota: Quota = field(default_factory=Quota)
    limits: Limits = field(default_factory=Limits)
    reconcile: Reconcile = field(default_factory=Reconcile)
    retention: Retention = field(default_factory=Retention)
    engine: Engine = field(default_factory=Engine)
    log: Log = field(default_factory=Log)
    origins: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), compare=False, repr=False)

    def rows(self) -> Iterator[tuple[str, str, str]]:
        """(section.name, value as text, origin) of every setting; secrets and passwords are replaced."""
        for section, item in all_settings():
            key = f"{section}.{item.name}"
            value = getattr(getattr(self, section), item.name)
            yield key, _shown(value, item.metadata["kind"]), self.origins.get(key, "default")

    def require_wecom(self) -> None:
        """Raise ConfigError, naming each, if a setting without which nobody can talk to WeCom is empty."""
        needed = ("corp_id", "agent_id", "secret", "token", "encoding_aes_key")
        empty = [name for name in needed if not getattr(self.wecom, name)]
        if empty:
            raise ConfigError(
                "WeCom is not connected yet: some settings are empty",
                "see the comments in the section [wecom] of sopd.toml",
                [f"wecom.{name}: set it in sopd.toml, or as {variable_of('wecom', name)}" for name in empty],
            )

    def require_production(self, what: str) -> None:
        """Raise ConfigError unless several processes can share the work; `what` was asked for and needs that."""
        faults = []
        if self.store.in_file:
            faults.append("store.url: a SQLite file has exactly one daemon; set it to postgresql://USER@HOST/NAME")
        if self.broker.in_memory:
            faults.append("broker.url: memory:// wakes nobody outside this process; set it to redis://HOST:PORT/DATABASE")
        if faults:
            raise ConfigError(
                f"{what} needs production mode: PostgreSQL and Redis, shared by every process",
                "or let one process do everything: `sopd run`",
                faults,
            )


def _shown(value: object, kind: Kind) -> str:
    if isinstance(value, str) and "://" in value:
        return re.sub(r"://([^:@/]*):[^@]*@", r"://\1:***@", value)
    if kind.hides:
        return "(set)" if value else "(empty)"
    if isinstance(value, dt.time):
        return value.strftime("%H:%M")
    return "" if value is None else str(value)


SECTIONS: Mapping[str, type] = MappingProxyType(
    {
        "company": Company, "wecom": Wecom, "store": Store, "broker": Broker, "web": Web, "health": Health,
        "quota": Quota, "limits": Limits, "reconcile": Reconcile, "retention": Retention, "engine": Engine,
        "log": Log,
    }
)


def all_settings() -> Iterator[tuple[str, Any]]:
    """(section, dataclass field) of every setting, in the order of the tree."""
    for section, kind in SECTIONS.items():
        yield from ((section, item) for item in fields(kind))


def variable_of(section: str, name: str) -> str:
    """The environment variable that overrides a setting."""
    return f"SOPD_{section}_{name}".upper()


def faults_between(settings: Settings) -> Iterator[tuple[str, str]]:
    """(section.name, what is wrong) where two settings, each fine alone, do not go together."""
    if settings.store.connections < settings.engine.worker_threads + 4:
        yield (
            "store.connections",
            f"{settings.store.connections} is too few: engine.worker_threads ({settings.engine.worker_threads}) and 4 "
            "for the web, the ticker and the look-ups need one each",
        )
