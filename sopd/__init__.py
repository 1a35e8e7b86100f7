"""sopd: the shell around `machines/`. It remembers and acts; what shall happen is decided in `machines`."""

__version__ = "0.1.0"
