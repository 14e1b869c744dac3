from attrs import frozen

from application.actor import Actor
from application.ports.storage import Begin
from application.views import ProfileView
from domain.ids import ProfileId
from domain.profile import Profile, ProfileNotFound


@frozen(kw_only=True)
class ReadOwnProfileHandler:
    """Reads the actor's own profile, with what others do not see."""

    begin: Begin

    async def __call__(self, actor: Actor) -> Profile:
        async with self.begin() as work:
            profile = await work.profiles.find(actor.profile_id)
        if profile is None:
            raise ProfileNotFound
        return profile


@frozen(kw_only=True)
class ReadProfile:
    profile_id: ProfileId


@frozen(kw_only=True)
class ReadProfileHandler:
    """Reads a profile the way others see it."""

    begin: Begin

    async def __call__(self, _: Actor, command: ReadProfile) -> ProfileView:
        """
        Raises:
            ProfileNotFound: There is no such profile.
        """
        async with self.begin() as work:
            profile = await work.profiles.find(command.profile_id)
        if profile is None:
            raise ProfileNotFound
        return ProfileView.of(profile)
