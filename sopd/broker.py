"""Wake-ups: a message says that an actor has something to do, and nothing else (ARCHITECTURE 1.2).

The database knows what is due, so every failure here costs delay and never work: a lost ring is found by the ticker,
a ring too many finds nothing to do. Messages are never retried and never wait for a later time; both are due columns.
Two queues: `fast` for what has a deadline of seconds (welcome codes), `work` for the rest.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Protocol

import dramatiq
import redis
import structlog
from dramatiq.broker import MessageProxy
from dramatiq.brokers.redis import RedisBroker
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import Middleware
from dramatiq.worker import Worker
from redis.backoff import NoBackoff
from redis.retry import Retry

from sopd import config

FAST, WORK = "fast", "work"
QUEUES = (FAST, WORK)

# A ring that nobody answered for this long may be lost, so the next one is sent again.
PENDING_MS = 5_000
# After a failure Redis is left alone for a moment: work that rings must not wait for its time-outs each time.
DEAF_SECONDS = 1.0
CONNECT_SECONDS, ANSWER_SECONDS = 1.0, 2.0
# A ring asks Redis first whether one is pending. Whoever rings has a callback or a person waiting: a Redis that hangs
# may cost them this much, and then nothing for a while.
RING_SECONDS = 0.5
POLL_MS = 200  # how often idle workers ask Redis
WATCH_MS = 500
"""How often each idle thread looks whether it shall stop, where messages wake it: the shorter, the quicker a stop."""
NAMESPACE = "sopd"

log = structlog.get_logger("sopd.broker")


class Pending(Protocol):
    """Which actors were rung and have not begun yet, seen by everybody who shares the broker."""

    def add(self, actor: str) -> bool:
        """Note a ring; False if one is pending already."""
        ...

    def remove(self, actor: str) -> None:
        """The actor begins: what is written from now on needs another ring."""
        ...


class _PendingHere:
    """Pending rings of one process."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._until: dict[str, float] = {}
        self._lock = threading.Lock()

    def add(self, actor: str) -> bool:
        now = self._monotonic()
        with self._lock:
            if self._until.get(actor, now) > now:
                return False
            self._until[actor] = now + PENDING_MS / 1000
            return True

    def remove(self, actor: str) -> None:
        with self._lock:
            self._until.pop(actor, None)


class _PendingInRedis:
    """Pending rings of all processes, kept in Redis with an expiry."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def add(self, actor: str) -> bool:
        return bool(self._client.set(f"{NAMESPACE}:rung:{actor}", 1, nx=True, px=PENDING_MS))

    def remove(self, actor: str) -> None:
        self._client.delete(f"{NAMESPACE}:rung:{actor}")


class Doorbell:
    """Rings actors. Best effort: it never raises because of the broker, and rings of one kind fall together."""

    def __init__(self, broker: dramatiq.Broker, pending: Pending, monotonic: Callable[[], float]) -> None:
        self._broker = broker
        self._pending = pending
        self._monotonic = monotonic
        self._deaf_until = float("-inf")

    def ring(self, actor: str) -> bool:
        """Wake the actor of this name, after the commit that gave it work. False if the broker did not take it.

        Rings between the first one and the actor's beginning are one ring. Raises dramatiq's ActorNotFound for a
        name that was never registered.
        """
        message = self._broker.get_actor(actor).message()
        if self._monotonic() < self._deaf_until:
            return False
        try:
            if self._pending.add(actor):
                self._broker.enqueue(message)
        except (redis.RedisError, dramatiq.errors.BrokerError) as error:
            self._deaf_until = self._monotonic() + DEAF_SECONDS
            log.warning("doorbell is deaf", actor=actor, error=type(error).__name__)
            return False
        return True


class _Answering(Middleware):
    """When an actor begins: its rings are answered, and its log lines carry its name and nothing older."""

    def __init__(self, pending: Pending) -> None:
        self._pending = pending

    def before_process_message(self, broker: dramatiq.Broker, message: MessageProxy) -> None:
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(actor=message.actor_name)
        try:
            self._pending.remove(message.actor_name)
        except redis.RedisError:
            # The note expires by itself; until then the ticker finds what is due.
            log.debug("ring could not be answered", actor=message.actor_name)


def open_broker(
    settings: config.Broker,
    *,
    middleware: Iterable[Middleware] = (),
    monotonic: Callable[[], float] = time.monotonic,
) -> tuple[dramatiq.Broker, Doorbell]:
    """The broker of the settings and its doorbell; nothing is connected yet. Register actors on it before ringing.

    `middleware` runs around every message, inside this module's own. Retries, time limits and delays are left out on
    purpose: a time limit can break a transaction, the rest belongs to the database. A failed actor is only logged.
    """
    broker: dramatiq.Broker
    pending: Pending
    if settings.in_memory:
        pending = _PendingHere(monotonic)
        broker = StubBroker(middleware=[_Answering(pending), *middleware])
    else:
        client = _client(settings.url, CONNECT_SECONDS, ANSWER_SECONDS)
        pending = _PendingInRedis(_client(settings.url, RING_SECONDS, RING_SECONDS))
        # A worker that died gives its messages back after the heartbeat; maintenance is drawn by lot per command.
        broker = RedisBroker(
            client=client, middleware=[_Answering(pending), *middleware], namespace=NAMESPACE,
            heartbeat_timeout=15_000, maintenance_chance=50_000,
        )
    for queue in QUEUES:
        broker.declare_queue(queue)
    if not settings.in_memory:  # no message waits for a later time: no thread shall ask Redis for one
        broker.delay_queues.clear()
    return broker, Doorbell(broker, pending, monotonic)


def _client(url: str, connect_seconds: float, answer_seconds: float) -> redis.Redis:
    """One more try, because the first command after a restart of Redis meets a connection that is gone."""
    return redis.Redis.from_url(
        url, socket_connect_timeout=connect_seconds, socket_timeout=answer_seconds, retry=Retry(NoBackoff(), 1)
    )


def start_workers(broker: dramatiq.Broker, threads: int) -> Worker:
    """Worker threads in this process for all registered actors; returns at once. One per process.

    They install no signal handlers and do not keep the process alive: the caller waits, then calls `stop_workers`.
    """
    broker.emit_after("process_boot")
    asks = isinstance(broker, RedisBroker)
    worker = Worker(broker, worker_threads=threads, worker_timeout=POLL_MS if asks else WATCH_MS)
    worker.start()
    return worker


def stop_workers(worker: Worker, within_seconds: float) -> bool:
    """Let running actors finish, up to this long; what was fetched and not begun goes back to Redis.

    False if they took longer: then their threads are still at it, and only the end of the process ends them.
    """
    closing = threading.Thread(target=_close, args=(worker, within_seconds), name="closing", daemon=True)
    closing.start()
    closing.join(within_seconds)
    return not closing.is_alive() and not any(thread.is_alive() for thread in worker.workers)


def _close(worker: Worker, within_seconds: float) -> None:
    worker.stop(timeout=int(within_seconds * 1000))
    worker.broker.close()


def are_alive(worker: Worker) -> bool:
    """Whether every thread that fetches messages and every one that works on them lives.

    While Redis is away the fetching ones live and try again every few seconds.
    """
    return all(thread.is_alive() for thread in (*worker.consumers.values(), *worker.workers))


def depths(broker: dramatiq.Broker) -> dict[str, int]:
    """Messages waiting or running per queue; empty if the broker cannot be reached."""
    try:
        if isinstance(broker, RedisBroker):
            return {queue: int(broker.do_qsize(queue)) for queue in QUEUES}
        return {queue: broker.queues[queue].qsize() for queue in QUEUES}
    except redis.RedisError:
        return {}
