"""Every frame that the server sends, made by its real encoder, with all the fields that it can have."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

from application.messages.send import Sent
from application.ports.updates import NewMember, Typing
from application.views import ChatView, HistoryPage, MessageView, ProfileView
from domain.chat import Kind
from domain.events import ChatChanged, MemberRemoved, MessagesRead, Removal, RoleChanged
from domain.ids import MessageId, Position, ProfileId, Seq
from domain.role import Role
from interfaces.wire import all_chats, frames
from interfaces.wire.frames import Frame
from interfaces.wire.reasons import Reset
from tests.interfaces.live.ear import GREETING
from tests.interfaces.ws.test_connection import ANN, CHAT, SNAPSHOT, posted, told

AT: Final = datetime(2026, 11, 23, tzinfo=UTC)
BOB: Final = ProfileId(uuid4())

EVENT: Final = posted(nonce="n")
VIEW: Final = MessageView(message=EVENT.message, position=EVENT.position, sender=ANN.profile, read_at=AT)
ENTRY: Final = ChatView(
    id=CHAT,
    kind=Kind.GROUP,
    name="a",
    description="b",
    owner=ANN.profile,
    role=Role.OWNER,
    member_count=2,
    created_at=AT,
    updated_at=AT,
    last_message=VIEW,
    last_seq=EVENT.message.seq,
    last_position=EVENT.position,
    read_up_to=Seq(0),
    unread_count=0,
)


def of_one_chat() -> Iterator[Frame]:
    """The frames of the socket of one chat. Durable frames and receipts are sent on the other socket too."""
    reading = MessagesRead(
        chat_id=CHAT,
        reader_id=BOB,
        message_ids=(MessageId(uuid4()),),
        from_seq=Seq(1),
        to_seq=Seq(1),
        count=1,
        by_author={ANN.profile_id: 1},
        at=AT,
    )
    yield frames.auth_success(
        user_id=BOB, chat_id=CHAT, session_id=ANN.session_id, epoch="e", seq=1, position=1, greeting=GREETING
    )
    yield frames.auth_error("no", "no")
    page = HistoryPage.of(CHAT, range(1, 2), 1, [VIEW])
    yield frames.chat_history(page, 1)
    yield frames.resumed(CHAT, SNAPSHOT)
    yield frames.reset(CHAT, Reset.AHEAD)
    assert EVENT.message.nonce
    yield frames.message_ack(EVENT.message.nonce, Sent(event=EVENT, duplicate=False))
    yield frames.unread_count(CHAT, 1)
    yield frames.pong(1)
    yield frames.goaway(1)
    yield frames.told(told(EVENT))
    at: dict[str, Any] = {"chat_id": CHAT, "position": Position(2), "by": BOB, "at": AT}
    yield frames.told(ChatChanged(name="a", description=None, **at))
    yield frames.told(NewMember(member=ProfileView(id=BOB), **at))
    yield frames.told(MemberRemoved(profile_id=BOB, **at))
    yield frames.told(RoleChanged(profile_id=BOB, role=Role.ADMIN, **at))
    yield frames.typing(Typing(chat_id=CHAT, profile_id=BOB, is_typing=True, at=AT))
    yield frames.messages_read(reading)
    yield frames.your_messages_read(reading, ANN.profile_id)
    yield frames.message_read(reading)
    yield frames.presence("user_joined", CHAT, BOB, AT)
    yield frames.presence("user_left", CHAT, BOB, AT)
    yield frames.presence("user_disconnected", CHAT, BOB, AT)
    yield frames.error(
        "no", "no", details={"nonce": "n", "retry_after": 1.0, "id": EVENT.message.id, "seq": Seq(1)}
    )


def of_all_chats() -> Iterator[Frame]:
    """The frames that only the socket of all chats has, but for answers."""
    yield all_chats.welcome_to_all(
        user_id=BOB, session_id=ANN.session_id, epoch="e", cursor="c", greeting=GREETING
    )
    yield all_chats.first_snapshot([ENTRY], "next", "c")
    yield all_chats.snapshot_asked_for(1, [ENTRY], None)
    yield all_chats.resumed_all("c")
    yield all_chats.cursor("c")
    yield all_chats.reset_all(Reset.EPOCH)
    yield all_chats.reset_chat(ENTRY, Reset.AHEAD)
    yield all_chats.gap(ENTRY, Position(1))
    yield all_chats.chat_added(ENTRY)
    yield all_chats.chat_removed(CHAT, Removal.LEFT)
    yield all_chats.read_up_to(CHAT, Seq(1), 0, Seq(1), Seq(0))
    yield all_chats.presence(all_chats.availability(BOB, False, AT))
    yield all_chats.presence_ended(BOB)
    yield all_chats.refusal(
        1, "no", "no", {"nonce": "n", "retry_after": 1.0, "message_id": EVENT.message.id, "seq": Seq(1)}
    )
