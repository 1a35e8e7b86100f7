"""The only wiring: settings in, a working engine out. Tests and processes are built by the same function."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import dramatiq
import httpx

from machines.quota import Quota
from sopd import actors, broker, holidays
from sopd.activity import Activity
from sopd.config import Settings
from sopd.crypto import CallbackCrypto
from sopd.handlers import inbox
from sopd.handlers.app import App, Company, Programs
from sopd.handlers.windows import StoredWindows
from sopd.store import Store
from sopd.ticker import Ticker
from sopd.wecom import WeCom
from sopd.wecom.callbacks import CallbackEvent


@dataclass(frozen=True)
class Engine:
    """One process's engine: the app, its broker with every loop registered, its ticker and its record of activity."""

    app: App
    broker: dramatiq.Broker
    activity: Activity
    ticker: Ticker
    crypto: CallbackCrypto | None

    def accept(self, events: Iterable[CallbackEvent]) -> None:
        """Write callbacks into the inbox that arrived until it begins (the callback's port)."""
        with self.activity.unit():
            inbox.accept(self.app, events)


def open_store(settings: Settings) -> Store:
    """The database of the settings, not yet connected."""
    chosen = settings.store
    return Store.open(
        chosen.url, chosen.connections, statement_timeout_ms=chosen.statement_deadline_seconds * 1000
    )


def company_of(settings: Settings) -> Company:
    """The company's fixed facts, with the kept table of workdays."""
    chosen, limit = settings.company, settings.limits.tasks_per_member_day
    return Company(
        zone=chosen.zone,
        quiet=chosen.quiet_hours,
        workdays=holidays.workdays(chosen.holidays_file),
        quota=Quota.parse(settings.quota.mode),
        tasks_per_member_day=limit or None,
        language=chosen.language,
    )


def build_app(settings: Settings, store: Store, *, transport: httpx.BaseTransport | None = None) -> App:
    """The app alone, without broker and ticker: what the CLI needs. Its `ring` does nothing."""
    company = company_of(settings)
    chosen = settings.wecom
    wecom = WeCom(
        chosen.api_base,
        chosen.corp_id,
        chosen.secret,
        chosen.agent_id,
        now=store.now,
        windows=StoredWindows(store),
        transport=transport,
    )
    return App(settings, store, wecom, company, Programs(company))


def build(settings: Settings, store: Store, *, transport: httpx.BaseTransport | None = None) -> Engine:
    """The whole engine of one process; nothing runs yet."""
    activity = Activity()
    queue, doorbell = broker.open_broker(settings.broker)
    app = replace(build_app(settings, store, transport=transport), ring=doorbell.ring)
    actors.register(app, queue, activity)
    return Engine(app, queue, activity, Ticker(app, activity), callback_crypto(settings))


def callback_crypto(settings: Settings) -> CallbackCrypto | None:
    """The callback's keys, or None while they are not set."""
    chosen = settings.wecom
    if not (chosen.token and chosen.encoding_aes_key and chosen.corp_id):
        return None
    return CallbackCrypto(chosen.token, chosen.encoding_aes_key, chosen.corp_id)
