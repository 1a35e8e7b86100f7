"""`python -m sopd` is `sopd`."""

from __future__ import annotations

from sopd.cli import main

if __name__ == "__main__":
    main()
