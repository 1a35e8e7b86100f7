"""A listening socket, opened before anything else of a process starts: a taken port is one clear error."""

from __future__ import annotations

import socket

from sopd.errors import ConfigError


def listen(host: str, port: int, section: str) -> socket.socket:
    """Bound and listening; port 0 takes any free one. Raises ConfigError naming the settings of `section`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(1024)
    except OSError as error:
        listening.close()
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error.strerror}",
            f"choose another {section}.host or {section}.port in sopd.toml",
        ) from None
    return listening
