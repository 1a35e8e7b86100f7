"""One table of states and events, built once and shared; the only module that knows `transitions`.

A `Table` keeps no state of a row: `fire` takes the row's state, runs the event on a throw-away object and returns the
new state with the effects that the callbacks appended. So one table serves every row and every thread, and an event
that raises has changed nothing. Every pair of state and event is a transition, or listed as ignored (late and repeated
events are normal input), or illegal. Used by the machines of floor m2; it must not know what they are about.

Why so: a machine per row costs fifty times more; `queued=True` loses events between threads; a misspelt callback name
fails only when fired, hence function references; a false guard is silent in the library and loud here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from transitions import EventData, Machine

from machines.errors import IllegalEvent, MachinesError

Pair = tuple[str, str]


class Run:
    """The throw-away object of one firing: what callbacks and guards may see, and where effects are collected."""

    __slots__ = ("context", "effects", "state")

    def __init__(self, state: str, context: Mapping[str, Any]) -> None:
        self.state = state
        self.context = context
        self.effects: list[Any] = []


Callback = Callable[[Run], None]
Guard = Callable[[Run], bool]


@dataclass(frozen=True)
class Transition:
    """One arrow. All `guards` must hold; of several arrows for one pair the first whose guards hold is taken.

    `source` may equal `dest`: the event is accepted, its effects count, the state stays.
    """

    event: str
    source: str
    dest: str
    callbacks: tuple[Callback, ...] = ()
    guards: tuple[Guard, ...] = ()


@dataclass(frozen=True, slots=True)
class Fired:
    """Outcome of one firing. `ignored`: a late or repeated event; state unchanged, no effects."""

    state: str
    effects: tuple[Any, ...] = ()
    ignored: bool = False


@dataclass(frozen=True)
class Table:
    """A complete machine: read it to draw or to walk it, `fire` it to decide. Immutable and thread-safe."""

    states: tuple[str, ...]
    events: tuple[str, ...]
    transitions: tuple[Transition, ...]
    initial: str
    ignored: frozenset[Pair]
    name: str
    _machine: Machine = field(repr=False, compare=False)

    def fire(self, state: str, event: str, /, **context: Any) -> Fired:
        """Move from `state` by `event`; callbacks and guards read `context`.

        Raises IllegalEvent for an unknown state or event, a pair that is neither a transition nor ignored, and when
        no guard holds. Nothing has changed then: the caller still has the old state.
        """
        if (state, event) in self.ignored:
            return Fired(state, ignored=True)
        if state not in self._machine.states or event not in self._machine.events:
            raise IllegalEvent(state, event, self.name)
        run = Run(state, context)
        trigger = self._machine.events[event]
        if state not in trigger.transitions or not trigger.trigger(run):
            raise IllegalEvent(state, event, self.name)
        return Fired(run.state, tuple(run.effects))


def each(
    sources: Iterable[str], event: str, dest: str, *callbacks: Callback, guards: tuple[Guard, ...] = ()
) -> tuple[Transition, ...]:
    """The same arrow from several states."""
    return tuple(Transition(event, source, dest, callbacks, guards) for source in sources)


def build(
    states: Iterable[str],
    transitions: Iterable[Transition],
    initial: str,
    ignored: Collection[Pair],
    name: str = "machine",
) -> Table:
    """Build the shared table, with every fault of its wording reported at once (MachinesError).

    `ignored` holds (state, event) pairs. Its events and those of the transitions are the events of the machine, in
    order of first mention. `name` stands in errors and over diagrams.
    """
    states, transitions = tuple(states), tuple(transitions)
    events = tuple(dict.fromkeys([row.event for row in transitions] + sorted(event for _, event in ignored)))
    faults = _faults(states, transitions, initial, ignored)
    if faults:
        raise MachinesError(f"{name}: the table is wrong: " + "; ".join(faults))
    machine = Machine(
        model=None, states=list(states), initial=initial, auto_transitions=False, send_event=True, queued=False
    )
    for row in transitions:
        machine.add_transition(
            row.event, row.source, row.dest,
            conditions=[_on_run(guard) for guard in row.guards],
            before=[_on_run(callback) for callback in row.callbacks],
        )  # fmt: skip
    return Table(states, events, transitions, initial, frozenset(ignored), name, machine)


def _on_run(function: Callable[[Run], Any]) -> Callable[[EventData], Any]:
    """Hand the library's event data to a function of ours, which sees only the run."""

    def call(event: EventData) -> Any:
        run: Any = event.model
        return function(run)

    return call


def _faults(
    states: tuple[str, ...], transitions: tuple[Transition, ...], initial: str, ignored: Collection[Pair]
) -> list[str]:
    """What is wrong with a table's wording, in words."""
    known = set(states)
    twice = sorted({state for state in states if states.count(state) > 1})
    named = [initial, *(end for row in transitions for end in (row.source, row.dest)), *(state for state, _ in ignored)]
    unknown = sorted(set(named) - known)
    both = sorted({(row.source, row.event) for row in transitions} & set(ignored))
    return (
        [f"state {state!r} is named twice" for state in twice]
        + [f"state {state!r} is used but not declared" for state in unknown]
        + [f"event {event!r} in state {state!r} is both a transition and ignored" for state, event in both]
    )
