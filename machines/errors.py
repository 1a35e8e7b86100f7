"""What can go wrong inside the pure core: one root and its families.

An expected refusal (a late event, a full quota) is a return value and never an error. Callers: every module of
`machines` raises these; `sopd.definitions` turns a `DefinitionError` into file, line and column.
"""

from __future__ import annotations


class MachinesError(Exception):
    """Root of every error that this package raises on purpose; its text is one sentence for people."""


class IllegalEvent(MachinesError):
    """An event that is neither in a machine's table nor in its list of ignored ones: a bug of the caller.

    The state is unchanged. `state`, `event` and `machine` (a SOP version's name, or the kind of machine) name the pair.
    """

    def __init__(self, state: str, event: str, machine: str) -> None:
        super().__init__(f"{machine}: event {event!r} is not known in state {state!r}; nothing was changed")
        self.state = state
        self.event = event
        self.machine = machine


class DefinitionError(MachinesError, ValueError):
    """A definition, or a value of one, that cannot be used: says what is wrong and what is allowed.

    It is a ValueError so that a validator may raise it and report it with all the other faults. `where` is the path
    inside the definition (keys and list positions), empty if only the caller knows it.
    """

    def __init__(self, message: str, where: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.where = where


class OutOfCalendar(MachinesError):
    """A date or an instant that no calendar reaches (before the year 1 or after 9999)."""
