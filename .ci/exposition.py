"""Print what a daemon of this checkout shows at /metrics, for promtool: a real one, in a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

SOPD = Path(sys.executable).parent / "sopd"
SETTINGS = {
    "SOPD_WECOM_CORP_ID": "ww0123456789abcdef",
    "SOPD_WECOM_AGENT_ID": "1000002",
    "SOPD_WECOM_SECRET": "secret",
    "SOPD_WECOM_TOKEN": "token",
    "SOPD_WECOM_ENCODING_AES_KEY": "a" * 43,
    "SOPD_WECOM_API_BASE": "http://127.0.0.1:9",  # nobody listens there
    "SOPD_WEB_PORT": "0",
}


def main() -> int:
    """Start, ask once, stop. The exit code is 1 if the daemon did not get ready."""
    with tempfile.TemporaryDirectory() as folder:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("SOPD_")}
        log = Path(folder) / "log"
        with log.open("w") as into:
            daemon = subprocess.Popen(
                [SOPD, "run"], cwd=folder, env=environ | SETTINGS, stderr=subprocess.PIPE, text=True
            )
            try:
                port = port_of(daemon, into)
                if port is not None:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                        sys.stdout.write(answer.read().decode())
            finally:
                daemon.terminate()
                daemon.communicate(timeout=60)
        if port is None:
            sys.stderr.write(log.read_text())
        return int(port is None)


def port_of(daemon: subprocess.Popen[str], into) -> int | None:
    """The port in the line that says ready; None if the daemon ended before it."""
    for line in daemon.stderr:
        into.write(line)
        if line.startswith("{") and (said := json.loads(line)).get("event") == "ready":
            return said["port"]
    return None


if __name__ == "__main__":
    sys.exit(main())
