"""An imitation of WeCom with people in it, for tests, rehearsals and the demo.

The core is pure: a `World` and an `Api` answer `(request, now)`; nothing here reads a clock (except the
server in hand-driven mode), a random source or the engine's code. It keeps its own account of what really
happened to every customer, so that the engine's account can be compared with it.

Used by `tests/` through `transport`, by `sopd sandbox` and the rehearsals through `server`.
Must not import anything of sopd above the ground floor (ARCHITECTURE 4).
"""
