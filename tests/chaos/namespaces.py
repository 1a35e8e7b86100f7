"""Network and host name of one imitated host, as kernel namespaces, without any tool of the system.

`Namespace.made()` is None where the kernel does not permit it (no root, a container without the right): hosts are then
plain processes beside each other. A socket belongs to the namespace in which its thread was when it was made, and a
child process is born into that of its thread: `inside` is all it takes.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

CLONE_NEWUTS, CLONE_NEWNET = 0x04000000, 0x40000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1

_libc = ctypes.CDLL(None, use_errno=True)


class Namespace:
    """One host's own network, with a loopback of its own and nothing else, and its own host name."""

    def __init__(self, files: tuple[int, int], home: tuple[int, int]) -> None:
        self._files, self._home = files, home

    @classmethod
    def made(cls, name: str) -> Namespace | None:
        """A new one for the host of this name, or None if that is not permitted here."""
        home, files = _files_of_thread(), []

        def make() -> None:
            if _libc.unshare(CLONE_NEWUTS | CLONE_NEWNET) == 0:
                socket.sethostname(name)
                _raise_loopback()
                files.append(_files_of_thread())

        thread = threading.Thread(target=make)  # its end is the end of its stay there
        thread.start()
        thread.join()
        return cls(files[0], home) if files else None

    @contextmanager
    def inside(self) -> Iterator[None]:
        """This thread is on the host: sockets and processes made here are the host's."""
        self._enter(self._files)
        try:
            yield
        finally:
            self._enter(self._home)

    def close(self) -> None:
        """Let go of it; it ends with the last process in it."""
        for file in (*self._files, *self._home):
            os.close(file)

    def _enter(self, files: tuple[int, int]) -> None:
        for file in files:
            if _libc.setns(file, 0) != 0:
                raise OSError(ctypes.get_errno(), "cannot change the namespace")


def _files_of_thread() -> tuple[int, int]:
    return tuple(os.open(f"/proc/thread-self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in ("net", "uts"))


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        asked = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(probe, _SIOCGIFFLAGS, asked))[1]
        fcntl.ioctl(probe, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))
