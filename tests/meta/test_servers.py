"""The servers that other tests lean on: they start, are fresh, and are gone afterwards."""

from __future__ import annotations

import psycopg
import pytest
import redis
from playhouse import db_url

from tests.support.servers import Postgres, Valkey, running_valkey


def test_module_database_is_empty_and_reached_by_driver_and_orm(pg_database: str) -> None:
    with psycopg.connect(pg_database) as connection:
        tables = connection.execute("select count(*) from pg_tables where schemaname = 'public'").fetchone()
    database = db_url.connect(pg_database, prefer_psycopg3=True)
    try:
        assert tables == (0,)
        assert database.execute_sql("select 1").fetchone() == (1,)
    finally:
        database.close()


def test_database_made_from_template_has_its_tables(postgres: Postgres) -> None:
    template = postgres.create()
    with psycopg.connect(postgres.url(template)) as connection:
        connection.execute("create table marked (id int)")

    copy = postgres.create(template)

    with psycopg.connect(postgres.url(copy)) as connection:
        assert connection.execute("select count(*) from marked").fetchone() == (0,)
    postgres.drop(copy)
    postgres.drop(template)


def test_each_redis_url_is_an_emptied_database(valkey: Valkey) -> None:
    with redis.Redis.from_url(valkey.fresh_url()) as first:
        first.set("k", "v")
    with redis.Redis.from_url(valkey.fresh_url()) as second:
        assert second.dbsize() == 0


def test_server_is_gone_after_its_block() -> None:
    with running_valkey() as server:
        pass

    assert server.program.process.poll() is not None
    with pytest.raises(redis.exceptions.ConnectionError):
        redis.Redis(unix_socket_path=str(server.socket)).ping()
