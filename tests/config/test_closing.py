"""What works on PostgreSQL for a while leaves no connection behind."""

import asyncio
from pathlib import Path

from sqlalchemy.engine import make_url

from config.container import Application, PostgresAdapters, closing
from config.settings.groups import Database, Settings
from tests.postgres import PostgresServer


async def test_nothing_is_left_open(
    postgres_server: PostgresServer, messenger_database: str, tmp_path: Path
) -> None:
    settings = Settings(var_dir=tmp_path, database=Database(url=messenger_database))
    application = Application(adapters=PostgresAdapters(settings=settings, url=messenger_database))
    with postgres_server.connect("postgres") as beside:

        def connections() -> int:
            cursor = beside.execute(
                "SELECT pid FROM pg_stat_activity WHERE datname = %s",
                [make_url(messenger_database).database],
            )
            return len(cursor.fetchall())

        async with closing(application):
            await application.administration().fill_examples()
            await application.adapters.storage().views.probe()
            assert connections() >= 4, "the pool, two lanes and a reader"
        for _ in range(500):  # a backend ends a moment after its client has gone
            if connections():
                await asyncio.sleep(0.01)
        assert connections() == 0
