"""What this imitation of WeCom is set to: one enterprise, one self-built app, and the switches of its behaviour.

Frozen and checked on construction. Defaults are the strict or documented ones of reference WeCom 5.2 and 11.
Read by the world, the API and the postman; never changed while a world runs.
"""

from __future__ import annotations

from dataclasses import dataclass

from machines.calendar import DAY_MS, HOUR_MS, SECOND_MS
from sopd.sandbox.quotas import MODES


@dataclass(frozen=True)
class SandboxConfig:
    """Settings of one imitated enterprise; all durations in milliseconds."""

    corp_id: str = "wwsimcorp"
    secret: str = "simsecret"
    agent_id: int = 1000002
    #: Callback settings of the app (WeCom 2): letters and digits, the key exactly 43 of them.
    callback_token: str = "simtoken"
    encoding_aes_key: str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
    #: How often one customer may receive mass sends: day:1, week:7 or month:days (WeCom 5.2).
    quota: str = "day:1"
    #: Whether customers whose window is full are refused at creation too (the old rule of WeCom 10).
    quota_at_creation: bool = False
    #: How long a new task is "being dispatched": results, cancelling and reminding answer 41063.
    dispatch_ms: int = 20 * SECOND_MS
    #: How long after the confirmation the rows of send_result still say 0.
    report_lag_ms: int = 0
    #: Whether our own API writes raise events (WeCom 3.1: unsettled, so a switch).
    echo: bool = False
    #: Whether `list` answers 84061 for a member without customers instead of an empty list (WeCom 4.1).
    empty_list_is_84061: bool = True
    #: Whether enterprise tags move to the new relation on a transfer (WeCom 7: undocumented).
    transfer_keeps_tags: bool = False
    #: Largest page of any paged call; None = the vendor's own limits. Small values force paging.
    page_cap: int | None = None
    token_life_ms: int = 2 * HOUR_MS
    media_life_ms: int = 3 * DAY_MS
    welcome_life_ms: int = 20 * SECOND_MS
    #: Source addresses that may call (60020 otherwise); empty = all.
    trusted_ips: tuple[str, ...] = ()
    #: Path prefixes the app has no permission for (48002), e.g. "/cgi-bin/externalcontact/".
    withheld_paths: tuple[str, ...] = ()
    #: Calls on one path: per minute (then blocked for 60 s) and per hour (then blocked for 60 min).
    calls_per_minute: int = 10_000
    calls_per_hour: int = 150_000

    def __post_init__(self) -> None:
        if self.quota not in MODES:
            raise ValueError(f"quota is {self.quota!r}; allowed: {', '.join(MODES)}")
        if self.page_cap is not None and self.page_cap < 1:
            raise ValueError(f"page_cap is {self.page_cap}; allowed: 1 or more, or None")
        if len(self.encoding_aes_key) != 43:
            raise ValueError(f"encoding_aes_key has {len(self.encoding_aes_key)} characters; allowed: exactly 43")

    def settings(self, url: str) -> str:
        """The section of sopd.toml by which an engine talks to this enterprise, played at `url`."""
        return "\n".join(
            [
                "[wecom]",
                f'corp_id = "{self.corp_id}"',
                f"agent_id = {self.agent_id}",
                f'secret = "{self.secret}"',
                f'token = "{self.callback_token}"',
                f'encoding_aes_key = "{self.encoding_aes_key}"',
                f'api_base = "{url}"',
            ]
        )
