from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response

from application.messenger import Messenger
from application.paging import Page, Paging, PersonPlace
from application.ports.limiter import TooManyRequests
from application.profiles.find import MOST, FindProfiles
from application.views import ProfileView
from domain.profile import ProfileNotFound, UsernameTaken
from interfaces.http.authentication import actor_of
from interfaces.http.described import PROFILES, described
from interfaces.http.envelope import success
from interfaces.http.options import HttpOptions
from interfaces.http.paging import Listing, listed
from interfaces.http.requests import json_object, path, query
from interfaces.http.routes import Endpoint
from interfaces.wire import answers, codec


@frozen
class Profiles:
    """The profile of the caller, and the profiles of others."""

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
        summary="Read my profile, including what only I can see",
        description="The phone number is shown to nobody else.",
        tag=PROFILES,
        answer=answers.OwnProfile,
        refuses=(ProfileNotFound,),
    )
    async def read_own(self, request: Request) -> Response:
        actor = await actor_of(request, self.messenger)
        return success(codec.own_profile_json(await self.messenger.profiles.read_own(actor)))

    @described(
        summary="Change my profile; a field that is not sent stays as it is, null clears it",
        description="Others see the new name everywhere from now on, also beside older messages.",
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
        summary="Find people by the beginning of a username or name, 20 at most; exact matches come first",
        description="`Link` leads to the next page. People without a name are not found.",
        tag=PROFILES,
        answer=list[answers.Profile],
        query=codec.FIND_PROFILES,
        refuses=(TooManyRequests,),
        is_polled=True,
        has_next=True,
    )
    async def find(self, request: Request) -> Response:
        actor = await actor_of(request, self.messenger)
        asked = codec.FIND_PROFILES.decode(query(request), within="query")
        listing = Listing(self.options.cursor_key, PersonPlace, f"people {actor.profile_id} {asked.query}")

        async def read(paging: Paging[PersonPlace]) -> Page[ProfileView, PersonPlace]:
            command = FindProfiles(query=asked.query, limit=paging.limit or MOST, after=paging.after)
            return await self.messenger.profiles.find(actor, command)

        return await listed(request, listing, asked, read, codec.profile_json, query=asked.query)

    @described(
        summary="Read a profile",
        description="Everybody who is signed in may read every profile, without its phone number.",
        tag=PROFILES,
        answer=answers.Profile,
        query=codec.READ_PROFILE,
        refuses=(ProfileNotFound,),
    )
    async def read(self, request: Request) -> Response:
        actor = await actor_of(request, self.messenger)
        command = codec.READ_PROFILE.decode({}, within="query", path=path(request))
        return success(codec.profile_json(await self.messenger.profiles.read(actor, command)))
