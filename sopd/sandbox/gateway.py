"""The line between a client and the API: one call at a time, faults around it, overlapping writes refused.

Both the in-process transport and the HTTP server go through here, from any thread. The lock is the world's only
guard: whoever touches the world beside the API (people, postman) holds it too.
"""

from __future__ import annotations

import json
from threading import Lock, RLock

from machines.calendar import Instant
from sopd.sandbox.api import Answer, Api, Request
from sopd.sandbox.faults import Fault, Faults
from sopd.sandbox.records import Pair
from sopd.sandbox.refusals import Refusal
from sopd.sandbox.world import World


class Dropped(Exception):
    """The connection broke; `after` tells whether the call had its effect. Never leaves the transport or server."""

    def __init__(self, after: bool) -> None:
        super().__init__("after the effect" if after else "before the effect")
        self.after = after


class Gateway:
    """The guarded door of one world."""

    def __init__(self, world: World, faults: Faults | None = None) -> None:
        self.world = world
        self.api = Api(world)
        self.faults = faults or Faults(world.seed)
        self.lock = RLock()
        #: Calls ever answered and calls being answered: the clock stands still while they change.
        self.served = 0
        self.open = 0
        self._arrivals = Lock()
        self._writing: set[Pair] = set()

    def handle(self, request: Request, now: Instant) -> Answer:
        """Answer one call; raises Dropped where the client must see a broken connection."""
        pair = _written_pair(request)
        with self._arrivals:
            overlaps = pair is not None and pair in self._writing
            if pair is not None and not overlaps:
                self._writing.add(pair)
            self.open += 1
        try:
            if overlaps:
                return self.api.refuse(request, Refusal(45035, "conflicting write to the same external contact"))
            with self.lock:
                return self._handle(request, now)
        finally:
            with self._arrivals:
                if pair is not None and not overlaps:
                    self._writing.discard(pair)
                self.open -= 1
                self.served += 1

    def _handle(self, request: Request, now: Instant) -> Answer:
        fault = self.faults.draw(request)
        if fault is None:
            return self.api.handle(request, now)
        if fault.after:
            self.api.handle(request, now)
        return self._go_wrong(fault, request)

    def _go_wrong(self, fault: Fault, request: Request) -> Answer:
        if fault.kind == "drop":
            raise Dropped(fault.after)
        if fault.kind == "http_502":
            return Answer(502, b"<html><body>502 Bad Gateway</body></html>")
        if fault.kind == "wrong_json":
            return self.api.half_parsed(request)
        return self.api.refuse(request, Refusal(fault.errcode, "a fault of the sandbox"))


def _written_pair(request: Request) -> Pair | None:
    """The relation a call writes to; two such calls at once are 45035 (WeCom 1.3, 11)."""
    if not request.path.endswith("/mark_tag"):
        return None
    try:
        fields = json.loads(request.body)
        return str(fields["userid"]), str(fields["external_userid"])
    except (ValueError, TypeError, KeyError):
        return None  # the API will say what is wrong with it
