"""One unit of work: what a handler holds between BEGIN and COMMIT. Made by `Store` only.

Everything here is set-based: rows go in and out by the hundred, in one statement each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, lru_cache
from itertools import chain
from operator import itemgetter
from types import MappingProxyType
from typing import Any, NamedTuple, get_args, get_type_hints

from peewee import BigIntegerField, BooleanField, IntegerField

from machines.calendar import Instant

from .dialect import Dialect, Given
from .errors import BadStatement
from .tables import CounterDelta, Row

CHUNK = 5000  # rows a statement: bounds memory, not parameters

Params = Sequence[Any]


class Transaction:
    """Statements of one transaction; `?` stands for a parameter on both databases.

    Booleans come back as 0/1 from SQLite; `sum()` of a bigint is to be cast to bigint (PostgreSQL makes it a Decimal).
    The order of RETURNING rows is not promised. The condition of a partial index must stand in the query as it stands
    in the index, never as a parameter, or SQLite does not see the match.
    """

    def __init__(self, dialect: Dialect, connection: Any, hook: Callable[[str], object] | None) -> None:
        self.dialect = dialect
        self.connection = connection  # the driver's own, for `backup` alone
        self._hook = hook
        self._counts: Counter[str] = Counter()
        self.held: set[int] = set()  # customers this transaction has locked; kept by `queries.locks` alone
        self.new: set[int] = set()  # customers it has made, so all that hangs on them too; `queries.people` alone
        self.raised: set[int] = set()  # relations whose generation it has raised; `queries.tags` alone
        self.customer_of: dict[int, int] = {}  # by relation, which never changes it; kept by queries that read both
        self.met: set[int] = set()  # customers whose open runs it has read; `queries.enrollments` alone
        self.open_in: set[int] = set()  # versions of the open runs it has read or begun; `queries.enrollments` alone
        self.tags_of: dict[int, dict[str, Any]] = {}  # by relation it has locked, all rows; `queries.tags` alone
        self.library: dict[str, Any] = {}  # tags by id, None for one nobody knows; `queries.tags` alone
        self.afterwards: list[Callable[[], object]] = []

    @cached_property
    def now(self) -> Instant:
        """The one instant of this unit of work: the rehearsal's clock if there is one, else the database's time."""
        return self.value(f"select coalesce((select now from clock), {self.dialect.now})")

    @property
    def skip_locked(self) -> str:
        """The end of a claiming SELECT: rows that somebody else holds are left out, not waited for."""
        return self.dialect.skip_locked

    def for_update(self, of: str) -> str:
        """The end of a SELECT whose rows (of table or alias `of`) are about to be written."""
        return self.dialect.for_update(of)

    # -- statements ----------------------------------------------------------------------------------------------

    def rows(self, sql: str, params: Params = ()) -> list[tuple[Any, ...]]:
        """All rows of a SELECT or of a RETURNING."""
        return self._execute(sql, params, lambda cursor: cursor.fetchall())

    def one(self, sql: str, params: Params = ()) -> tuple[Any, ...] | None:
        """The first row, or None."""
        return next(iter(self.rows(sql, params)), None)

    def value(self, sql: str, params: Params = ()) -> Any:
        """The first column of the first row; None without a row."""
        row = self.one(sql, params)
        return None if row is None else row[0]

    def run(self, sql: str, params: Params = ()) -> int:
        """How many rows a statement without RETURNING wrote."""
        count = self._execute(sql, params, lambda cursor: cursor.rowcount)
        if count < 0 and self.dialect.one_writer:  # sqlite3 does not count a statement that begins with WITH
            return self.connection.execute("select changes()").fetchone()[0]
        return count

    def insert(
        self,
        table: type[Row],
        rows: Sequence[Mapping[str, Any]] | Sequence[Sequence[Any]],
        *,
        columns: Sequence[str] | None = None,
        returning: Sequence[str] = ("id",),
        on_conflict: str | None = None,
    ) -> list[tuple[Any, ...]]:
        """Insert any number of rows; a column that no row names gets the table's default.

        Rows are mappings, or without mappings' cost sequences in the order of `columns`.
        `on_conflict`: None raises `Conflict`; "ignore" leaves the old row (and returns nothing for it); anything else
        is the text after ON CONFLICT, e.g. "(fingerprint) do update set times = inbox.times + 1": then no two of the
        rows may meet each other. Returns the `returning` columns of the rows written; () for none of them.
        """
        if not rows:
            return []
        known = columns_of(table)
        asked = set(chain.from_iterable(rows)) if columns is None else set(columns)
        if strange := asked - known.keys():
            raise BadStatement(f"table {table._meta.table_name} has no column {', '.join(sorted(strange))}")
        if columns is None:
            columns = [name for name in known if name in asked]
            rows = _filled(rows, {name: known[name].default for name in columns})
        types = {name: known[name].type for name in columns}
        unsaid = {
            each.name: each.default for each in known.values() if each.default is not None and each.name not in asked
        }
        sql = f"insert into {table._meta.table_name} ({', '.join(map(quoted, (*types, *unsaid)))})"
        sql += f" select {', '.join([*map(quoted, types), *(f'cast(? as {known[name].type})' for name in unsaid)])}"
        sql += " from %s g where true"  # without WHERE, SQLite reads ON CONFLICT as a join's condition
        if on_conflict is not None:
            sql += " on conflict " + ("do nothing" if on_conflict == "ignore" else on_conflict)
        if returning:
            sql += f" returning {', '.join(map(quoted, returning))}"
        written: list[tuple[Any, ...]] = []
        for start in range(0, len(rows), step := self._chunk(len(types))):
            given = self.table(types, rows[start : start + step])
            params = (*unsaid.values(), *given.params)
            written += self._execute(sql % given.sql, params, lambda c: c.fetchall() if returning else [])
        return written

    def table(self, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> Given:
        """Rows as a table to join with; `columns` maps names to 'bigint', 'int', 'text' or 'bool'.

        g = tx.table({"id": "bigint", "state": "text"}, rows)
        tx.run(f"update enrollment set state = n.state from {g.sql} n where enrollment.id = n.id", g.params)
        """
        return self.dialect.given({quoted(name): kind for name, kind in columns.items()}, rows)

    def alike(
        self, columns: Mapping[str, str], groups: Sequence[tuple[Sequence[int], Sequence[Any]]]
    ) -> Given:
        """As `table`, for rows of which many are alike: each group is (ids, the values they share).

        The table has the column `id` before the others. Before an UPDATE it is to be named in a WITH .. AS
        MATERIALIZED, or SQLite may look for every row of the target in it.
        """
        if sum(len(ids) for ids, _ in groups) <= self.dialect.worth_folding * len(groups):
            single = [(each, *values) for ids, values in groups for each in ids]
            return self.table({"id": "bigint", **columns}, single)
        rows = [(self.dialect.folded(ids), *values) for ids, values in groups]
        shared = self.table({"ids": "text", **columns}, rows)
        picked = ", ".join(f"s.{quoted(name)}" for name in columns)
        sql = f"(select i.value as id, {picked} from {shared.sql} s cross join {self.dialect.unfolded})"
        return Given(sql, shared.params)

    def ids(self, ids: Iterable[int]) -> Given:
        """Ids as a table with the one column `id`: `... where id in (select id from {g.sql} g)`."""
        return self.dialect.listed(list(ids))

    def those(self, table: str, key: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> Given:
        """The condition that a row of `table` has one of these keys of several columns, for the end of a statement.

        those = tx.those("flip", {"purpose": "text", "ref_id": "bigint"}, keys)
        tx.run(f"delete from flip where {those.sql}", those.params)
        """
        given = self.table(key, rows)
        return Given(self.dialect.keyed(table, list(map(quoted, key)), given.sql), given.params)

    def unchanged(
        self, table: str, key: Mapping[str, str], still: Mapping[str, str], rows: Sequence[Sequence[Any]]
    ) -> Given:
        """As `those`, and that the columns `still` are as given too.

        All rows of these keys are locked, in the order of the keys, whether they have changed or not.
        """
        given = self.table({**key, **still}, rows)
        sql = self.dialect.unchanged(table, list(map(quoted, key)), list(map(quoted, still)), given.sql)
        return Given(sql, given.params)

    def claim(
        self,
        table: type[Row],
        where: str,
        params: Params = (),
        *,
        order: str,
        limit: int,
        lease_ms: int,
        key: Sequence[str] = ("id",),
        returning: Sequence[str] | None = None,
    ) -> list[tuple[Any, ...]]:
        """Lease up to `limit` rows that nobody holds: `lease_until` and `act_at` = now + lease, `attempts` + 1.

        The due column moves along, so that min(act_at) is the true next due and a dead worker's row comes back.
        `where` and `order` choose among the rows; those with a running lease, or locked by another transaction, are
        left out. Returns the `returning` columns (the key, if not given) as they are after the claim, in no order.
        """
        name, keys = table._meta.table_name, ", ".join(map(quoted, key))
        sql = (
            f"with picked as materialized (select {keys} from {name}"
            f" where {where} and (lease_until is null or lease_until <= ?) order by {order} limit ?{self.skip_locked})"
            f" update {name} set lease_until = ?, act_at = ?, attempts = attempts + 1"
            f" where ({keys}) in (select {keys} from picked) returning {', '.join(map(quoted, returning or key))}"
        )
        lease_until = self.now + lease_ms
        return self.rows(sql, (*params, self.now, limit, lease_until, lease_until))

    # -- what happens at the end ---------------------------------------------------------------------------------

    def after_commit(self, act: Callable[[], object]) -> None:
        """Do this once the transaction is committed (wake-ups); never if it is not. Its failure is only logged."""
        self.afterwards.append(act)

    def count(self, key: str, n: int = 1) -> None:
        """Add to a counter; all keys of a transaction are written as one insert just before COMMIT."""
        self._counts[key] += n

    def flush(self) -> None:
        """Write what was counted. `Store` calls this before COMMIT."""
        deltas = [{"key": key, "n": n} for key, n in sorted(self._counts.items()) if n]
        if deltas:
            self.insert(CounterDelta, deltas, returning=())

    def explain(self, sql: str, params: Params = ()) -> str:
        """The database's plan for a statement, one line a node."""
        return "\n".join(str(row[-1]) for row in self.rows(self.dialect.explain(sql), params))

    def _chunk(self, columns: int) -> int:
        most = self.dialect.most_params
        return CHUNK if most is None else max(1, min(CHUNK, most // columns))

    def _execute(self, sql: str, params: Params, read: Callable[[Any], Any]) -> Any:
        if self._hook is not None:
            self._hook(sql)
        try:
            return read(self.connection.execute(self.dialect.text(sql), tuple(params)))
        except self.dialect.driver_error as error:
            raise self.dialect.translate(error, sql) from error


class Column(NamedTuple):
    """A column as `insert` needs it: its type for `Transaction.table` and its default."""

    name: str
    type: str
    default: Any


def _type_of(field: Any) -> str:
    if isinstance(field, BooleanField):
        return "bool"
    if isinstance(field, BigIntegerField) or field.field_type == "BIGAUTO":
        return "bigint"
    return "int" if isinstance(field, IntegerField) else "text"


@lru_cache(maxsize=256)
def columns_of(table: type[Row]) -> dict[str, Column]:
    """The columns of a table by name, in the order of the schema."""
    fields = table._meta.sorted_fields
    return {field.column_name: Column(field.column_name, _type_of(field), field.default) for field in fields}


_TYPES = {int: "bigint", str: "text", bool: "bool"}


@lru_cache(maxsize=64)
def types_of(row: type[NamedTuple]) -> Mapping[str, str]:
    """The columns of a NamedTuple of ints, texts and truths as `Transaction.table` takes them."""
    kinds = get_type_hints(row)
    return MappingProxyType({name: _TYPES[(get_args(kind) or (kind,))[0]] for name, kind in kinds.items()})


def _filled(rows: Sequence[Mapping[str, Any]], defaults: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """The values of mappings, in the order of `defaults`."""
    pick = itemgetter(*defaults) if len(defaults) > 1 else lambda row: tuple(row.values())
    return [pick({**defaults, **row}) for row in rows]


def quoted(name: str) -> str:
    """A column name that may be a word of SQL (`window`, `at`)."""
    return f'"{name}"'
