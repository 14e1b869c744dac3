from collections.abc import Mapping
from typing import Any

import psycopg


def pages_read(
    connection: psycopg.Connection[Any], statement: str, parameters: Any, plans: Mapping[str, str]
) -> int:
    """
    Returns how many pages a statement looks at once everything is planned and cached. ``plans`` are the settings of the
    connection that the product runs it on.
    """
    connection.execute("RESET ALL")
    for setting, value in plans.items():
        connection.execute("SELECT set_config(%s, %s, false)", (setting, value))
    explained = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}".encode()
    connection.execute(explained, parameters)
    (((plan,),),) = connection.execute(explained, parameters).fetchall()
    return int(plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"])
