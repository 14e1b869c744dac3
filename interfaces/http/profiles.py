from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response

from application.messenger import Messenger
from domain.profile import ProfileNotFound, UsernameTaken
from interfaces.http.authentication import actor_of
from interfaces.http.described import PROFILES, described
from interfaces.http.envelope import polled, success
from interfaces.http.options import HttpOptions
from interfaces.http.requests import json_object, path, query
from interfaces.http.routes import Endpoint
from interfaces.wire import answers, codec


@frozen
class Profiles:
    """One's own, which is an account's, and those of others."""

    messenger: Messenger
    options: HttpOptions

    def routes(self) -> list[Endpoint]:
        own, others = f"{self.options.prefix}/accounts/profile/", f"{self.options.prefix}/profiles/"
        return [
            Endpoint("GET", own, self.read_own),
            Endpoint("PATCH", own, self.edit),
            Endpoint("GET", others, self.find),
            Endpoint("GET", others + "{profile_id}/", self.read),
        ]

    @described(
        summary="My profile, with what only I see",
        tag=PROFILES,
        answer=answers.OwnProfile,
        refuses=(ProfileNotFound,),
    )
    async def read_own(self, request: Request) -> Response:
        actor = await actor_of(request, self.messenger)
        return success(codec.own_profile_json(await self.messenger.profiles.read_own(actor)))

    @described(
        summary="Change my profile: what is not sent stays, null clears",
        tag=PROFILES,
        answer=answers.OwnProfile,
        body=codec.EDIT_PROFILE,
        refuses=(ProfileNotFound, UsernameTaken),
    )
    async def edit(self, request: Request) -> Response:
        actor = await actor_of(request, self.messenger)
        command = codec.EDIT_PROFILE.decode(await json_object(request), within="body")
        return success(codec.own_profile_json(await self.messenger.profiles.edit(actor, command)))

    @described(
        summary="People whose username or name begins so, 20 at most",
        tag=PROFILES,
        answer=list[answers.Profile],
        query=codec.FIND_PROFILES,
        is_polled=True,
    )
    async def find(self, request: Request) -> Response:
        actor = await actor_of(request, self.messenger)
        command = codec.FIND_PROFILES.decode(query(request), within="query")
        found = await self.messenger.profiles.find(actor, command)
        return polled(request, [codec.profile_json(profile) for profile in found])

    @described(
        summary="Somebody",
        tag=PROFILES,
        answer=answers.Profile,
        query=codec.READ_PROFILE,
        refuses=(ProfileNotFound,),
    )
    async def read(self, request: Request) -> Response:
        actor = await actor_of(request, self.messenger)
        command = codec.READ_PROFILE.decode({}, within="query", path=path(request))
        return success(codec.profile_json(await self.messenger.profiles.read(actor, command)))
