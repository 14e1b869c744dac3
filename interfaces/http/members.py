from functools import partial

from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response

from application.messenger import Messenger
from application.paging import MemberPlace
from interfaces.http.authentication import actor_of, changer_of, charge_named
from interfaces.http.described import CHATS, described
from interfaces.http.envelope import success
from interfaces.http.errors import NO_CHAT
from interfaces.http.options import HttpOptions
from interfaces.http.paging import Listing, listed
from interfaces.http.requests import json_object, key, path, query
from interfaces.http.routes import Endpoint
from interfaces.slices import encoded
from interfaces.wire import answers, codec
from interfaces.wire.commands import REFUSALS


@frozen
class Members:
    """The members of a chat and their roles. Chats of others are answered like chats that do not exist."""

    messenger: Messenger
    options: HttpOptions

    def routes(self) -> list[Endpoint]:
        members = f"{self.options.prefix}/chats/{{chat_id}}/members/"
        member = members + "{profile_id}/"
        return [
            Endpoint("GET", members, self.read, NO_CHAT),
            Endpoint("POST", members, self.add, NO_CHAT),
            Endpoint("PUT", member, self.change_role, NO_CHAT),
            Endpoint("DELETE", member, self.remove, NO_CHAT),
        ]

    @described(
        summary="List the members of a chat, the owner first",
        description="Then in the order of joining. `Link` leads to the next page.",
        tag=CHATS,
        answer=list[answers.Member],
        query=codec.LIST_IN_CHAT,
        refuses=REFUSALS["get_members"],
        is_polled=True,
        has_next=True,
    )
    async def read(self, request: Request) -> Response:
        actor = await actor_of(request, self.messenger)
        asked = codec.LIST_IN_CHAT.decode(query(request), within="query", path=path(request))
        listing = Listing(self.options.cursor_key, MemberPlace, f"members {actor.profile_id} {asked.chat_id}")
        read = partial(self.messenger.chats.members, actor.profile_id, asked.chat_id)
        return await listed(request, listing, asked, read, codec.member_json)

    @described(
        summary="Add people to a group; those who are members already stay as they are",
        description="The owner and admins may do it. The answer lists all members.",
        tag=CHATS,
        answer=list[answers.Member],
        body=codec.ADD_MEMBERS,
        refuses=REFUSALS["add_members"],
    )
    async def add(self, request: Request) -> Response:
        actor = await changer_of(request, self.messenger)
        command = codec.ADD_MEMBERS.decode(
            await json_object(request) | key(request), within="body", path=path(request)
        )
        charge_named(request, actor, command.profile_ids)
        members = await self.messenger.chats.add_members(actor, command)
        return success(await encoded(codec.member_json, members))

    @described(
        summary="Change the role of a member; making a member the owner hands the chat over",
        description="Only the owner may do it. The answer lists all members.",
        tag=CHATS,
        answer=list[answers.Member],
        body=codec.CHANGE_ROLE,
        refuses=REFUSALS["change_role"],
    )
    async def change_role(self, request: Request) -> Response:
        actor = await changer_of(request, self.messenger)
        command = codec.CHANGE_ROLE.decode(await json_object(request), within="body", path=path(request))
        members = await self.messenger.chats.change_role(actor, command)
        return success(await encoded(codec.member_json, members))

    @described(
        summary="Remove a member from a group, or leave it",
        description="Admins remove members, the owner removes anyone, and everybody may leave. When the owner "
        "leaves, the longest-standing admin owns the group, else the longest-standing member; the last "
        "one to leave deletes it. Sockets of the person close with 4403.",
        tag=CHATS,
        query=codec.REMOVE_MEMBER,
        refuses=REFUSALS["remove_member"],
    )
    async def remove(self, request: Request) -> Response:
        actor = await changer_of(request, self.messenger)
        command = codec.REMOVE_MEMBER.decode({}, within="query", path=path(request))
        await self.messenger.chats.remove_member(actor, command)
        return success(None)
