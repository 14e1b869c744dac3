from datetime import datetime

from attrs import frozen
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from application.ports.keys import KeyOwner, KeyUse, Operation
from domain.message import Nonce
from infrastructure.postgres.schema.account_tables import idempotency_key


@frozen
class PostgresKeys:
    connection: AsyncConnection

    async def claim(self, owner_id: KeyOwner, key: Nonce, use: KeyUse) -> KeyUse | None:
        kept = {
            "operation": use.operation.value,
            "digest": use.digest,
            "subject_id": use.subject_id,
            "used_at": use.used_at,
            "expires_at": use.expires_at,
        }
        put = (
            insert(idempotency_key)
            .values(account_id=owner_id, key=key.value, **kept)
            .on_conflict_do_update(
                index_elements=list(idempotency_key.primary_key.columns),
                set_=kept,
                where=idempotency_key.c.expires_at <= use.used_at,
            )
            .returning(idempotency_key.c.key)
        )
        find = select(idempotency_key).where(
            idempotency_key.c.account_id == owner_id, idempotency_key.c.key == key.value
        )
        # The second of two transactions waits in the insert until the first commits, and finds its row in the next
        # statement. If the row was deleted between the two statements, the loop tries again.
        while (await self.connection.execute(put)).one_or_none() is None:
            if row := (await self.connection.execute(find)).mappings().one_or_none():
                return KeyUse(
                    operation=Operation(row["operation"]),
                    digest=row["digest"],
                    subject_id=row["subject_id"],
                    used_at=row["used_at"],
                    expires_at=row["expires_at"],
                )
        return None

    async def forget(self, owner_id: KeyOwner) -> None:
        await self.connection.execute(delete(idempotency_key).where(idempotency_key.c.account_id == owner_id))

    async def remove_expired(self, at: datetime) -> None:
        await self.connection.execute(delete(idempotency_key).where(idempotency_key.c.expires_at <= at))
