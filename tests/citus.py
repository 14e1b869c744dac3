"""
A Citus cluster for tests.

`MESSENGER_TEST_CITUS` is the URL of a database on the coordinator of a real one, which the tests may empty: `messenger db migrate` and
`messenger db distribute` have made its tables. Debian has no Citus, so `make test` runs the same adapters on one server, where
`STAND_INS` answer for the cluster.
"""

import os
from typing import Final

import psycopg
from psycopg import sql

from infrastructure.postgres.schema.base import metadata, with_all_tables
from infrastructure.postgres.schema.chat_tables import origin
from tests.storages import conninfo

CITUS: Final = os.environ.get("MESSENGER_TEST_CITUS")

STAND_INS: Final = """
CREATE TABLE pg_dist_transaction (gid text PRIMARY KEY);
CREATE TABLE answer_of_a_node (result text NOT NULL);
CREATE FUNCTION run_command_on_workers(command text) RETURNS SETOF answer_of_a_node LANGUAGE sql
AS 'SELECT result FROM answer_of_a_node';
"""
"""Creates a table and a function that stand in, on a server without Citus, for those that list transactions committed in two phases."""

CATALOG: Final = """
SET allow_system_table_mods = on;
CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass);
CREATE TABLE pg_dist_node (
    groupid int, shouldhaveshards boolean, isactive boolean DEFAULT true, noderole text DEFAULT 'primary'
);
"""
"""Creates the catalogs in which Citus lists divided tables and its servers. It needs a database of its own, on a server without Citus."""


def empty_cluster(url: str) -> None:
    with psycopg.connect(conninfo(url)) as connection:
        connection.execute("SET LOCAL citus.multi_shard_modify_mode TO 'sequential'")
        for name in with_all_tables(metadata).tables.keys() - {origin.name}:
            connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(name)))
