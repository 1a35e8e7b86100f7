"""Who may call: the token office, address list, permissions and frequency limits of the imitated platform.

Checked by `api` before every call. Rules: WeCom 1.1, 1.3, 11. All windows run on the virtual clock handed in.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from machines.calendar import HOUR_MS, MINUTE_MS, Instant
from sopd.sandbox import chance
from sopd.sandbox.config import SandboxConfig
from sopd.sandbox.refusals import Refusal

#: Wrong secrets from one address before it is blocked for an hour (WeCom 11).
WRONG_SECRETS = 5


@dataclass
class _Window:
    """Calls counted since `began_at`."""

    began_at: Instant = 0
    count: int = 0

    def add(self, now: Instant, length_ms: int) -> int:
        if now - self.began_at >= length_ms:
            self.began_at, self.count = now, 0
        self.count += 1
        return self.count


class Access:
    """The token of the one app, and the counters of its calls."""

    def __init__(self, seed: chance.Seed, config: SandboxConfig) -> None:
        self._seed = seed
        self._config = config
        self._token = ""
        self._issued_at: Instant = 0
        self._made = 0
        self._revoked: set[str] = set()
        self._wrong_secrets: defaultdict[str, int] = defaultdict(int)
        self._banned_until: dict[str, Instant] = {}
        self._minutes: defaultdict[str, _Window] = defaultdict(_Window)
        self._hours: defaultdict[str, _Window] = defaultdict(_Window)
        self._blocked_until: dict[str, Instant] = {}

    @property
    def tokens_made(self) -> int:
        """How many different tokens were handed out."""
        return self._made

    def revoke(self) -> None:
        """Make the present token invalid before its time (40014)."""
        self._revoked.add(self._token)

    def token(self, corp_id: str, secret: str, source_ip: str, now: Instant) -> tuple[str, int]:
        """The app's token and the seconds it still lives; the same one inside its lifetime."""
        if now < self._banned_until.get(source_ip, 0):
            raise Refusal(45009, "api freq out of limit")
        if not corp_id or not secret:
            raise Refusal(41002 if not corp_id else 41004, "corpid missing" if not corp_id else "secret missing")
        if corp_id != self._config.corp_id:
            raise Refusal(40013, "invalid corpid")
        if secret != self._config.secret:
            self._count_wrong_secret(source_ip, now)
            raise Refusal(40001, "invalid credential")
        if self._is_over(now) or self._token in self._revoked:
            self._token = f"tok-{chance.name(self._seed, 'token', self._made, size=16)}"
            self._issued_at = now
            self._made += 1
        return self._token, (self._issued_at + self._config.token_life_ms - now) // 1000

    def check(self, path: str, token: str, source_ip: str, now: Instant) -> None:
        """Raise what WeCom answers to a call that may not be made: 41001, 40014, 42001, 60020, 48002 or 45009."""
        if not token:
            raise Refusal(41001, "access_token missing")
        if token != self._token or token in self._revoked:
            raise Refusal(40014, "invalid access_token")
        if self._is_over(now):
            raise Refusal(42001, "access_token expired")
        if self._config.trusted_ips and source_ip not in self._config.trusted_ips:
            raise Refusal(60020, "not allow to access from your ip")
        if any(path.startswith(prefix) for prefix in self._config.withheld_paths):
            raise Refusal(48002, "api forbidden")
        self._count_call(path, now)

    def _is_over(self, now: Instant) -> bool:
        return not self._token or now - self._issued_at >= self._config.token_life_ms

    def _count_wrong_secret(self, source_ip: str, now: Instant) -> None:
        self._wrong_secrets[source_ip] += 1
        if self._wrong_secrets[source_ip] >= WRONG_SECRETS:
            self._banned_until[source_ip] = now + HOUR_MS
            self._wrong_secrets[source_ip] = 0

    def _count_call(self, path: str, now: Instant) -> None:
        if now < self._blocked_until.get(path, 0):
            raise Refusal(45009, "api freq out of limit")
        in_minute = self._minutes[path].add(now, MINUTE_MS)
        in_hour = self._hours[path].add(now, HOUR_MS)
        if in_hour > self._config.calls_per_hour:
            self._blocked_until[path] = now + HOUR_MS
        elif in_minute > self._config.calls_per_minute:
            self._blocked_until[path] = now + MINUTE_MS
        else:
            return
        raise Refusal(45009, "api freq out of limit")
