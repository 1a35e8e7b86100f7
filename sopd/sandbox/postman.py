"""Carries the world's letters to the daemon: encrypted, signed, repeated until answered with 200.

Where they go is a port: straight into the daemon's handler in tests, HTTP with a 5 s deadline in the server. What is
sent follows WeCom 2; the variations (duplicates, JSON envelope, forgeries) are what a receiver must bear. The world's
lock is never held while a letter is under way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

from machines.calendar import Instant
from sopd.crypto import CallbackCrypto
from sopd.sandbox import chance
from sopd.sandbox.gateway import Gateway
from sopd.sandbox.letters import Letter

Query = Mapping[str, str]
Deliver = Callable[[Query, bytes], int]
"""POST one push: (query, body) -> HTTP status, 0 if there was no answer. Must not raise."""
Check = Callable[[Query], tuple[int, bytes]]
"""GET the callback URL: query -> (HTTP status, body), (0, b"") if there was no answer within a second."""
Forgery = Literal["signature", "receive_id", "none"]


class Postman:
    """The delivery of one world's letters to one callback URL."""

    def __init__(self, gateway: Gateway, deliver: Deliver, *, as_json: bool = False, parallel: int = 1) -> None:
        self._gateway = gateway
        self._world = gateway.world
        self._deliver = deliver
        self._as_json = as_json
        self._crypto = self._crypto_for(self._world.config.corp_id)
        self._pool = ThreadPoolExecutor(parallel, thread_name_prefix="postman") if parallel > 1 else None
        #: Attempts ever made: the clock stands still while it changes.
        self.attempts = 0

    def run_once(self, now: Instant) -> int:
        """Deliver every letter due at `now`, each once; returns how many attempts were made."""
        with self._gateway.lock:
            letters = self._world.mailbox.take_due(now)
        carry = self._pool.map if self._pool is not None else map
        statuses = list(carry(lambda letter: self._attempt(letter, now), letters))
        with self._gateway.lock:
            for letter, status in zip(letters, statuses, strict=True):
                self._world.mailbox.settle(letter, status, now)
            self.attempts += len(letters)
        return len(letters)

    def send(self, xml: bytes, now: Instant, *, forgery: Forgery = "none", as_json: bool = False) -> int:
        """Send one push outside the queue, for tests of a receiver; returns the HTTP status.

        `forgery` "signature" spoils the signature, "receive_id" means it for another enterprise. A true one may be
        sent any number of times: equal plaintext under new random bytes.
        """
        crypto = self._crypto_for("wwanother") if forgery == "receive_id" else self._crypto
        query, body = self._seal(crypto, xml, f"extra/{xml.hex()}", now, as_json=as_json)
        if forgery == "signature":
            query = {**query, "msg_signature": query["msg_signature"][::-1]}
        return self._deliver(query, body)

    def check_url(self, check: Check, now: Instant) -> bool:
        """Save the callback settings: the URL must answer the exact plaintext with status 200 (WeCom 2.1)."""
        nth = self._next("url check")
        plaintext = str(chance.between(10**18, 10**19 - 1, self._world.seed, "echo", nth))
        timestamp, nonce = str(now // 1000), self._nonce("url check", nth)
        echostr = self._crypto.encrypt(plaintext.encode(), self._random16("url check", nth))
        signature = self._crypto.sign(timestamp, nonce, echostr)
        query = {"msg_signature": signature, "timestamp": timestamp, "nonce": nonce, "echostr": echostr}
        return check(query) == (200, plaintext.encode())

    def close(self) -> None:
        """Let go of the delivery threads."""
        if self._pool is not None:
            self._pool.shutdown()

    def _attempt(self, letter: Letter, now: Instant) -> int:
        query, body = self._seal(self._crypto, letter.xml, letter.key, now, as_json=self._as_json)
        return self._deliver(query, body)

    def _seal(
        self, crypto: CallbackCrypto, xml: bytes, key: str, now: Instant, *, as_json: bool
    ) -> tuple[dict[str, str], bytes]:
        nth = self._next(key)
        timestamp, nonce = str(now // 1000), self._nonce(key, nth)
        agent_id = str(self._world.config.agent_id)
        random16 = self._random16(key, nth)
        sealed = crypto.seal(xml, timestamp, nonce, random16, agent_id=agent_id, as_json=as_json)
        return {"msg_signature": sealed.signature, "timestamp": timestamp, "nonce": nonce}, sealed.body

    def _crypto_for(self, receive_id: str) -> CallbackCrypto:
        config = self._world.config
        return CallbackCrypto(config.callback_token, config.encoding_aes_key, receive_id)

    def _next(self, key: str) -> int:
        """How often this key was sent before."""
        with self._gateway.lock:
            return self._world.ordinal("sent", key)

    def _nonce(self, key: str, nth: int) -> str:
        """Nonces differ in value and in length, 5 to 10 digits."""
        digits = chance.between(5, 10, self._world.seed, "nonce length", key, nth)
        return str(chance.between(10 ** (digits - 1), 10**digits - 1, self._world.seed, "nonce", key, nth))

    def _random16(self, key: str, nth: int) -> bytes:
        return chance.digest(self._world.seed, "random16", key, nth, size=16)
