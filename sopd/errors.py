"""What can go wrong, told to a person: the root of all errors of the shell and the families every floor may raise.

Each error is one sentence (`message`: what is wrong, and where) and, if something can be done, another (`hint`).
Nothing here may carry secrets, message bodies or names of people: the text of an error reaches logs and terminals.
WeCom's own refusals live in `sopd.wecom.errors`; the faults of a definition file in `sopd.definitions`.
"""

from __future__ import annotations

from collections.abc import Iterable


class SopdError(Exception):
    """Root of every error this package raises on purpose. `message` is one sentence, `hint` says what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class ConfigError(SopdError):
    """The settings cannot be used. `faults` lists every one found, each `where: what is wrong, what is allowed`."""

    def __init__(self, message: str, hint: str = "", faults: Iterable[str] = ()) -> None:
        super().__init__(message, hint)
        self.faults = tuple(faults)

    def __str__(self) -> str:
        return "\n  ".join([super().__str__(), *self.faults])


class Refused(SopdError):
    """A wish that was understood and is not granted in the present state; nothing was changed."""


class NotFound(Refused):
    """The thing that was named does not exist."""


def no_such(kind: str, *names: object) -> NotFound:
    """`there is no customer wm1, wm2`, with the command that lists what there is of this kind."""
    listed = "dispatch" if kind == "task" else kind.lower()
    return NotFound(f"there is no {kind} {', '.join(map(str, names))}", f"`sopd {listed} list` shows them")


class NoProgress(SopdError):
    """This process does not get on at the moment, and may again; if it does not, systemd's watchdog ends it."""
