"""Processes of production mode on one PostgreSQL and one Redis, each a real `sopd`, each with a port of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sopd.rehearsal.process import DaemonProcess, free_port


class Member(DaemonProcess):
    """One process of the fleet; `url` is where it answers probes, and serves if it has a web."""

    def __init__(self, config: Path, words: str, port: int, log: Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        environ = {"SOPD_HEALTH_PORT": str(port), "SOPD_WEB_PORT": str(port)}
        super().__init__(config, self.url, log, words.split(), environ)


class Fleet:
    """Settings that several processes share, and the processes. WeCom does not answer unless `wecom` says where."""

    def __init__(self, folder: Path, store_url: str, broker_url: str, more: str = "") -> None:
        self.folder = folder
        self.store_url = store_url
        self.config = folder / "fleet.toml"
        wecom = "" if "[wecom]" in more else _WECOM
        self.config.write_text(
            f'{wecom}{more}\n[store]\nurl = "{store_url}"\n[broker]\nurl = "{broker_url}"\n', encoding="utf-8"
        )
        self.members: list[Member] = []

    def start(self, words: str, port: int | None = None) -> Member:
        """Start `sopd WORDS` and wait until it is ready."""
        port = port or free_port()
        member = Member(self.config, words, port, self.folder / f"{port}.log")
        self.members.append(member)
        member.start()
        return member

    def start_all(self, *commands: str, port: int | None = None) -> list[Member]:
        """Start several at once; `port` is that of the web."""
        with ThreadPoolExecutor() as threads:
            ports = [port if "run" in words and "ticker" not in words else None for words in commands]
            return list(threads.map(self.start, commands, ports))

    def call(self, *words: str, environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        command = [sys.executable, "-m", "sopd", "--config", str(self.config), *words]
        return subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=60, env={**os.environ, **(environ or {})}
        )

    def stop(self) -> None:
        """Kill whoever still runs."""
        for member in self.members:
            member.kill()


_WECOM = f"""
[wecom]
corp_id = "wwfleet"
agent_id = 1000002
secret = "nobody-answers"
token = "fleet"
encoding_aes_key = "{"A" * 43}"
api_base = "http://127.0.0.1:9"
"""
