"""
A client for the messenger, for asyncio.

`MessengerClient` keeps one socket for all chats of a person, and comes back after breaks without losing or repeating anything.
`Core` is its state machine without I/O, for shells of other kinds.
"""

from messenger_client.changes import (
    Change,
    ChatAdded,
    ChatChanged,
    ChatRemoved,
    Gap,
    MarksMoved,
    MessageRefused,
    MessageSent,
    NewMessage,
    Presence,
    PresenceEnded,
    Reset,
    StateChanged,
    Typing,
)
from messenger_client.client import MessengerClient
from messenger_client.core import Core, Options
from messenger_client.errors import (
    ClientError,
    Ended,
    OutcomeUnknown,
    Refused,
    StorageDamaged,
    Unreachable,
)
from messenger_client.model import Chat, HistoryPage, Member, Message, Person, Reader
from messenger_client.states import State
from messenger_client.storage import FileStorage, MemoryStorage, Storage
from messenger_client.surroundings import Surroundings

__all__ = [
    "Change",
    "Chat",
    "ChatAdded",
    "ChatChanged",
    "ChatRemoved",
    "ClientError",
    "Core",
    "Ended",
    "FileStorage",
    "Gap",
    "HistoryPage",
    "MarksMoved",
    "Member",
    "MemoryStorage",
    "Message",
    "MessageRefused",
    "MessageSent",
    "MessengerClient",
    "NewMessage",
    "Options",
    "OutcomeUnknown",
    "Person",
    "Presence",
    "PresenceEnded",
    "Reader",
    "Refused",
    "Reset",
    "State",
    "StateChanged",
    "Storage",
    "StorageDamaged",
    "Surroundings",
    "Typing",
    "Unreachable",
]
