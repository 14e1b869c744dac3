from collections.abc import Hashable
from datetime import datetime
from typing import Protocol

from attrs import define

from application.ports.keys import KeyOwner, KeyUse
from domain.message import Nonce
from infrastructure.memory.accounts import AccountTables


class Work(Protocol):
    @property
    def accounts_state(self) -> AccountTables: ...

    async def hold(self, key: Hashable) -> None: ...


@define
class MemoryKeys:
    work: Work

    async def claim(self, owner_id: KeyOwner, key: Nonce, use: KeyUse) -> KeyUse | None:
        await self.work.hold(("key", owner_id, key))
        keys = self.work.accounts_state.keys
        first = keys.get((owner_id, key))
        if first and not first.is_expired(use.used_at):
            return first
        keys[owner_id, key] = use
        return None

    async def forget(self, owner_id: KeyOwner) -> None:
        keys = self.work.accounts_state.keys
        for key in [key for key in keys if key[0] == owner_id]:
            del keys[key]

    async def remove_expired(self, at: datetime) -> None:
        keys = self.work.accounts_state.keys
        for key in [key for key, use in keys.items() if use.is_expired(at)]:
            del keys[key]
