"""The state of pools of connections, for operators."""

from attrs import frozen
from sqlalchemy.ext.asyncio import AsyncEngine

from infrastructure.postgres.driver.batches import BatchConnection
from infrastructure.postgres.driver.engine import CountingPool
from infrastructure.postgres.driver.reads import ReadPool


@frozen(kw_only=True)
class PoolState:
    size: int
    """The most connections that the pool opens."""
    in_use: int
    idle: int
    waits: int
    """How often somebody has waited for a connection because all were in use."""
    waited_seconds: float


def engine_state(engine: AsyncEngine) -> PoolState:
    pool = engine.sync_engine.pool
    assert isinstance(pool, CountingPool)
    return PoolState(
        size=pool.size(),
        in_use=pool.checkedout(),
        idle=pool.checkedin(),
        waits=pool.waits.number,
        waited_seconds=pool.waits.seconds,
    )


def reads_state(pool: ReadPool) -> PoolState:
    return PoolState(
        size=pool.size,
        in_use=pool.in_use,
        idle=pool.idle,
        waits=pool.waits.number,
        waited_seconds=pool.waits.seconds,
    )


def batches_state(*connections: BatchConnection) -> PoolState:
    """The dedicated connections for batches, as if they were one pool."""
    in_use = sum(each.is_busy for each in connections)
    return PoolState(
        size=len(connections),
        in_use=in_use,
        idle=sum(each.is_open and not each.is_busy for each in connections),
        waits=sum(each.waits.number for each in connections),
        waited_seconds=sum(each.waits.seconds for each in connections),
    )
