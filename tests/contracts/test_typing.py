"""Who may say that they type: members of a chat, as storage has it at that moment."""

import pytest

from application.actor import Actor
from application.ports.updates import Typing
from application.updates.typing import ShowTyping, ShowTypingHandler
from domain.chat_errors import ChatNotFound, NotAMember
from domain.ids import ChatId
from tests.contracts.talk import Talk, actor, open_chat
from tests.contracts.test_marking import remove
from tests.contracts.test_posting import delete
from tests.storages import SharedStorage
from tests.unlimited import UNLIMITED


def typing(talk: Talk) -> ShowTypingHandler:
    return ShowTypingHandler(
        limits=UNLIMITED, views=talk.storage.views, clock=talk.clock, updates=talk.updates
    )


async def test_a_member_is_shown(storage: SharedStorage) -> None:
    talk, ann, bob = Talk(storage), actor(), actor()
    chat = await open_chat(storage.begin, ann, bob)
    for is_typing in (True, False):
        await typing(talk)(bob, ShowTyping(chat_id=chat.id, is_typing=is_typing))
    told = [(u.chat_id, u.profile_id, u.is_typing) for u in talk.published if isinstance(u, Typing)]
    assert told == [(chat.id, bob.profile_id, True), (chat.id, bob.profile_id, False)]
    assert len(talk.published) == 2


async def refused(talk: Talk, who: Actor, chat_id: ChatId, refusal: type[Exception]) -> None:
    talk.published.clear()
    with pytest.raises(refusal):
        await typing(talk)(who, ShowTyping(chat_id=chat_id, is_typing=True))
    assert talk.published == []


async def test_nobody_else_is(storage: SharedStorage) -> None:
    talk, ann, bob, stranger = Talk(storage), actor(), actor(), actor()
    chat = await open_chat(storage.begin, ann, bob)
    await refused(talk, stranger, chat.id, NotAMember)
    await remove(storage, chat, bob)
    await refused(talk, bob, chat.id, NotAMember)
    await delete(storage, chat.id, ann)
    await refused(talk, ann, chat.id, ChatNotFound)
