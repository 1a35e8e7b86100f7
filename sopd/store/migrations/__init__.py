"""The schema's history as frozen SQL: `NNNN_name.sqlite.sql` beside `NNNN_name.postgres.sql`, run by `store.migrate`.

A released file is never edited. The tables in `store.tables` are where a change begins; its SQL goes into the next
number, for both databases, and the contract tests compare the two. A statement ends with `;` at the end of a line.
"""
