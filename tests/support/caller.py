"""A bare client of the sandbox for tests: sends one call, gets the parsed reply; time stands where the test puts it."""

from __future__ import annotations

import json
from typing import Any

from sopd.sandbox.api import Answer, Request
from sopd.sandbox.config import SandboxConfig
from sopd.sandbox.faults import Faults
from sopd.sandbox.gateway import Gateway
from sopd.sandbox.letters import PostHabits
from sopd.sandbox.world import World

#: 2026-01-01 08:00 in Shanghai, a Thursday.
NEW_YEAR = 1_767_225_600_000
SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000


class Caller:
    """One world with two members, its gateway, and a clock the test sets (`caller.now`)."""

    def __init__(self, *, seed: str = "seed", habits: PostHabits | None = None, rates: Any = (), **config: Any) -> None:
        self.now = NEW_YEAR
        self.world = World(seed, SandboxConfig(**config), self.now, habits)
        self.gateway = Gateway(self.world, Faults(seed, rates))
        self.world.hire("alice")
        self.world.hire("bob")

    def token(self) -> str:
        """The app's token."""
        query = {"corpid": self.world.config.corp_id, "corpsecret": self.world.config.secret}
        return str(self.request("/cgi-bin/gettoken", query).fields["access_token"])

    def request(self, path: str, query: dict[str, str], body: bytes = b"", content_type: str = "") -> Answer:
        """One request as it is."""
        method = "POST" if body else "GET"
        return self.gateway.handle(Request(method, path, query, body, content_type), self.now)

    def get(self, name: str, /, **query: str) -> dict[str, Any]:
        """GET a customer-contact call, with a fresh token."""
        answer = self.request(f"/cgi-bin/externalcontact/{name}", {"access_token": self.token(), **query})
        return dict(json.loads(answer.body))

    def post(self, name: str, /, **fields: Any) -> dict[str, Any]:
        """POST a customer-contact call, with a fresh token."""
        body = json.dumps(fields, ensure_ascii=False).encode()
        return self.post_raw(f"/cgi-bin/externalcontact/{name}", body)

    def post_raw(self, path: str, body: bytes) -> dict[str, Any]:
        """POST bytes to any path, with a fresh token."""
        return dict(json.loads(self.request(path, {"access_token": self.token()}, body).body))

    def add(self, member: str, *customers: str, **how: Any) -> None:
        """Customers add a member now."""
        for customer in customers:
            self.world.customer_adds(member, customer, now=self.now, **how)

    def pass_time(self, ms: int) -> None:
        """Let time go by."""
        self.now += ms
