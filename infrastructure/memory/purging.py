from datetime import datetime
from typing import Any

from attrs import define, field

from domain.ids import ChatId, ProfileId
from infrastructure.memory.chats import ChatTables
from infrastructure.memory.storage import MemoryStorage
from infrastructure.memory.table import Table


@define(eq=False)
class MemoryDeletedChats:
    _storage: MemoryStorage
    _purged: dict[ChatId, datetime] = field(init=False, factory=dict)

    async def purge_some(self, *, deleted_before: datetime, at: datetime, rows: int) -> bool:
        async with self._storage.begin() as work:
            for chat in list(work.chats_state.chats.values()):
                is_due = chat.deleted_at is not None and chat.deleted_at < deleted_before
                if is_due and chat.id not in self._purged and not work.is_busy(("chat", chat.id)):
                    await work.hold(("chat", chat.id))
                    for profile_id in sorted(work.chats_state.members_of.get(chat.id) or ()):
                        await work.hold(("chats_of", profile_id))
                    if not _remove(work.chats_state, chat.id, rows):
                        self._purged[chat.id] = at
                    return True
        return False


def _remove(state: ChatTables, chat_id: ChatId, rows: int) -> bool:
    """Returns False if there was nothing to remove."""
    left = rows
    for table, keys in _tables(state, chat_id):
        for key in keys[:left]:
            if table is state.members:
                _leave_list(state, key)
            del table[key]
        left -= min(len(keys), left)
        if not left:
            return True
    return left < rows


def _leave_list(state: ChatTables, key: tuple[ChatId, ProfileId]) -> None:
    chat_id, profile_id = key
    chats = state.chats_of.get(profile_id) or ()
    state.chats_of[profile_id] = tuple(other for other in chats if other != chat_id)


def _tables(state: ChatTables, chat_id: ChatId) -> list[tuple[Table[Any, Any], list[Any]]]:
    def of_chat(table: Table[Any, Any]) -> tuple[Table[Any, Any], list[Any]]:
        return table, [key for key in table if (key[0] if isinstance(key, tuple) else key) == chat_id]

    return [
        of_chat(table)
        for table in (
            state.receipts,
            state.readings,
            state.said,
            state.seq_of,
            state.messages,
            state.log,
            state.members,
            state.members_of,
        )
    ]
