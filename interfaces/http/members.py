from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response

from application.messenger import Messenger
from interfaces.http.authentication import actor_of
from interfaces.http.envelope import success
from interfaces.http.errors import NO_CHAT
from interfaces.http.options import HttpOptions
from interfaces.http.requests import json_object, path
from interfaces.http.routes import Endpoint
from interfaces.wire import codec


@frozen
class Members:
    """Who is in a chat, and as what. A chat that is not one's own is answered like one that does not exist."""

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

    async def read(self, request: Request) -> Response:
        actor = await actor_of(request, self.messenger)
        chat_id = codec.IN_CHAT.decode({}, within="query", path=path(request)).chat_id
        members = await self.messenger.members(actor.profile_id, chat_id)
        return success([codec.member_json(member) for member in members])

    async def add(self, request: Request) -> Response:
        actor = await actor_of(request, self.messenger)
        command = codec.ADD_MEMBERS.decode(await json_object(request), within="body", path=path(request))
        members = await self.messenger.add_members(actor, command)
        return success([codec.member_json(member) for member in members])

    async def change_role(self, request: Request) -> Response:
        actor = await actor_of(request, self.messenger)
        command = codec.CHANGE_ROLE.decode(await json_object(request), within="body", path=path(request))
        members = await self.messenger.change_role(actor, command)
        return success([codec.member_json(member) for member in members])

    async def remove(self, request: Request) -> Response:
        actor = await actor_of(request, self.messenger)
        command = codec.REMOVE_MEMBER.decode({}, within="query", path=path(request))
        await self.messenger.remove_member(actor, command)
        return success(None)
