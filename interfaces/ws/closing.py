"""The close codes of sockets, their meaning for clients, and the code for each reason why the live side ends a listener."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

from attrs import frozen

from interfaces.live.listener import End


class CloseCode(IntEnum):
    """
    A close code of RFC 6455, section 7.4, or one of the messenger's own (4000 to 4999).

    The list is complete: it includes the codes that only the WebSocket library sends.
    """

    meaning: str
    comes_back: bool
    """Whether a client should connect again of its own accord."""

    def __new__(cls, code: int, meaning: str, comes_back: bool) -> "CloseCode":
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        member.comes_back = comes_back
        return member

    NORMAL = 1000, "the connection ended in order", True
    GOING_AWAY = 1001, "the other side goes away", True
    PROTOCOL_ERROR = 1002, "a frame broke the protocol", False
    UNSUPPORTED = 1003, "a frame of a kind that is not taken", False
    ABNORMAL = 1006, "the connection broke: nobody said goodbye, and this code is never sent", True
    NOT_TEXT = 1007, "a text frame was not UTF-8", False
    POLICY = 1008, "the client may not be here: the frame before it, or its reason, says why", False
    TOO_BIG = 1009, "a message was longer than `limits.frame` in `auth_success`", False
    INTERNAL_ERROR = 1011, "the server failed; its log says why", True
    RESTART = 1012, "the server restarts, or its history changed", True
    TRY_LATER = 1013, "the client reads too slowly or the server is overloaded: resume after a pause", True
    SESSION_OVER = 4401, "the session has ended: sign in again", False
    NOT_A_MEMBER = 4403, "the client is no longer a member of the chat", False


@frozen
class Close:
    code: int
    reason: str
    is_final: bool = False
    """Whether waiting frames are dropped, because the client reads too slowly for them."""


GONE: Final = Close(CloseCode.ABNORMAL, "", is_final=True)
"""The connection is lost: no close frame can be sent."""

ENDS: Final[Mapping[End, Close]] = {
    End.SESSION_ENDED: Close(CloseCode.SESSION_OVER, "session ended"),
    End.NOT_A_MEMBER: Close(CloseCode.NOT_A_MEMBER, "no longer a member"),
    End.LEFT: Close(CloseCode.NOT_A_MEMBER, "no longer a member"),
    End.CHAT_DELETED: Close(CloseCode.POLICY, "Chat not found"),
    End.HISTORY_CHANGED: Close(CloseCode.RESTART, "history changed"),
}
