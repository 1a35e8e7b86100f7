"""The real daemon with a tally beside it: `python -m tests.bench.counted_daemon CONFIG TALLY`.

On SIGUSR1 it writes to the file TALLY how many statements it has run since its start. Otherwise it is `sopd run`.
"""

from __future__ import annotations

import json
import signal
import sys
from collections import Counter
from pathlib import Path

from sopd import bootstrap, config, log
from sopd.daemon import Daemon


def main(settings_file: str, tally_file: str) -> None:
    """Run until SIGTERM."""
    settings = config.load(Path(settings_file), {})
    log.configure(settings.log.level)
    store = bootstrap.open_store(settings)
    tally: Counter[str] = Counter()

    def count(sql: str) -> None:
        word = sql.split(maxsplit=1)[0]
        tally["transactions" if word == "commit" else "begins" if word == "begin" else "queries"] += 1

    def tell(*_: object) -> None:
        part = Path(f"{tally_file}.part")
        part.write_text(json.dumps(tally), encoding="utf-8")
        part.rename(tally_file)

    store.on_statement(count)
    daemon = Daemon(settings, store)
    signal.signal(signal.SIGUSR1, tell)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: daemon.stop())
    daemon.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
