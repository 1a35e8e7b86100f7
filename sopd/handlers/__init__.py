"""One function per command, one transaction each: the only writers of state (ARCHITECTURE 1 and 4).

Two forms. A *command* takes `app`, opens the one transaction and is called by loops and faces. A *part* takes `tx` too
and is called by other handlers inside theirs. All of them work on lists: load with a few statements, ask a machine once
per group of like rows, write with a few statements. Nobody queries, decides or writes per customer.

Rules that keep many workers from hurting each other:

- Lock order, everywhere: member, customer, relation, enrollment, dispatch, push, then slot, claim, reservation; within
  a table by id. Who writes a push holds the lock of its enrollment (`queries.enrollments.lock`), so a push read under
  that lock stays as it was read. SQLite has one writer and needs none of this.
- A part that makes other parts' work necessary does not call them: it returns `Consequences`, and the command ends with
  `consequences.follow`. So the modules know each other in one direction only:
  tags < facts < pushes < dispatches (stop) < enrollments < reactions < consequences < planning < other commands.
"""
