from datetime import datetime

from attrs import frozen
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from infrastructure.postgres.driver.engine import transaction


@frozen
class PostgresTime:
    """The clock of the database server."""

    engine: AsyncEngine
    deadline: float = 5.0

    async def read(self) -> datetime:
        """
        Raises:
            Unavailable: The database does not answer.
        """
        async with transaction(self.engine, self.deadline) as connection:
            found: datetime = (await connection.execute(select(func.clock_timestamp()))).scalar_one()
            return found
