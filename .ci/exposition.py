"""Print what a daemon of this checkout shows at /metrics, for promtool: a real one, in a folder of its own."""

from __future__ import annotations

import json
import os
import re
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


def main() -> None:
    """Start, ask once, stop. Ends with the daemon's log, and exit code 1, if it did not get ready."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SOPD_")} | SETTINGS
    with tempfile.TemporaryDirectory() as folder:
        daemon = subprocess.Popen([SOPD, "run"], cwd=folder, env=environ, stderr=subprocess.PIPE, text=True)
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{_port_of(daemon)}/metrics", timeout=10) as answer:
                sys.stdout.write(answer.read().decode())
        finally:
            daemon.terminate()
            daemon.communicate(timeout=60)


def _port_of(daemon: subprocess.Popen[str]) -> int:
    """The port of the web, from the line of the log that says ready."""
    said = []
    for line in daemon.stderr or ():
        said.append(line)
        if line.startswith("{") and json.loads(line).get("event") == "ready":
            if found := re.search(r"web on port (\d+)", line):
                return int(found[1])
            break
    sys.exit(f"the daemon did not say on which port it listens:\n{''.join(said)}")


if __name__ == "__main__":
    main()
