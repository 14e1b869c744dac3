from datetime import UTC, datetime, timedelta

from infrastructure.postgres.driver.engine import make_engine
from infrastructure.postgres.time import PostgresTime


async def test_the_clock_of_the_server(fresh_database: str) -> None:
    engine = make_engine(fresh_database)
    before = datetime.now(UTC)
    read = await PostgresTime(engine).read()
    again = await PostgresTime(engine).read()
    assert before - timedelta(seconds=1) < read < again < datetime.now(UTC) + timedelta(seconds=1)
    await engine.dispose()
