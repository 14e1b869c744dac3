"""
Checks that are taken away, one at a time: the table finds each. A table that found nothing could otherwise be one that looks
nowhere.
"""

from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from application.accounts.authenticate import AuthenticateHandler
from application.chats import change_role, remove_member
from domain.chat import Chat
from domain.member import Member
from domain.role import Act
from tests.authorization.rows import HTTP
from tests.authorization.trying import trials

Plant = Callable[[pytest.MonkeyPatch], None]


def _roles(patch: pytest.MonkeyPatch) -> None:
    """Every member may do everything."""

    def allowed(_: Chat, by: Member | None, __: Act) -> Any:
        return by

    patch.setattr(Chat, "allowed", allowed)


def _admins_remove_owners(patch: pytest.MonkeyPatch) -> None:
    remove = Chat.remove

    def careless(chat: Chat, by: Any, member: Any, **more: Any) -> Any:
        # the rule about plain members is asked of another one
        if member is not None and by.role != member.role:
            return remove(chat, by, evolve(member, role="member"), **more)
        return remove(chat, by, member, **more)

    patch.setattr(Chat, "remove", careless)


def _former_members(patch: pytest.MonkeyPatch) -> None:
    """Somebody who has left counts as present where members are changed."""

    async def locked(work: Any, actor: Any, chat_id: Any, *_: Any) -> Any:
        chat = await work.chats.lock(chat_id)
        return chat, await work.chats.find_member(chat_id, actor.profile_id)

    patch.setattr(change_role, "locked", locked)
    patch.setattr(remove_member, "locked", locked)


def _sessions_of_others(patch: pytest.MonkeyPatch) -> None:
    """The session of a token is looked up without its account."""

    async def actor_of(handler: AuthenticateHandler, token: Any, network: str = "") -> Any:
        memory: Any = handler.views
        (session,) = (
            each for each in memory.storage.accounts.sessions.values() if each.id == token.session_id
        )
        return await genuine(handler, evolve(token, account_id=session.account_id), network)

    genuine = AuthenticateHandler.actor_of
    patch.setattr(AuthenticateHandler, "actor_of", actor_of)


@pytest.mark.parametrize(
    ("plant", "found"),
    [
        (_roles, "PUT /chats/{chat_id}/"),
        (_admins_remove_owners, "DELETE /chats/{chat_id}/members/{profile_id}/"),
        (_former_members, "PUT /chats/{chat_id}/members/{profile_id}/"),
        (_sessions_of_others, "GET /accounts/me/"),
    ],
)
async def test_a_missing_check_is_found(monkeypatch: pytest.MonkeyPatch, plant: Plant, found: str) -> None:
    plant(monkeypatch)
    async with trials() as house:
        tried = await house.all([row for row in HTTP if row.endpoint == found])
    assert [fault for each in tried for fault in each.faults()]
