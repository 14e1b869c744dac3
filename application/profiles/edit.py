from attrs import frozen

from application.actor import Actor
from application.ports.storage import Begin
from domain.profile import Name, Phone, Profile, Unfit, Username
from domain.unchanged import UNCHANGED, Unchanged


@frozen(kw_only=True)
class EditProfile:
    """
    Fields that are None are cleared; fields that are left out stay as they are. A field that is `Unfit` stays as well, if
    the profile has this very text.
    """

    first_name: Name | Unfit | Unchanged | None = UNCHANGED
    last_name: Name | Unfit | Unchanged | None = UNCHANGED
    middle_name: Name | Unfit | Unchanged | None = UNCHANGED
    username: Username | Unfit | Unchanged | None = UNCHANGED
    phone: Phone | Unfit | Unchanged | None = UNCHANGED


@frozen(kw_only=True)
class EditProfileHandler:
    """Changes the actor's own profile."""

    begin: Begin

    async def __call__(self, actor: Actor, command: EditProfile) -> Profile:
        """
        Raises:
            ProfileUnfit: Some fields would change to what the rules refuse.
            UsernameTaken: Another profile has this username or one that looks like it.
        """
        actor.require_device()
        async with self.begin() as work:
            profile = await work.profiles.lock(actor.profile_id)
            profile.edit(
                first_name=command.first_name,
                last_name=command.last_name,
                middle_name=command.middle_name,
                username=command.username,
                phone=command.phone,
            )
            await work.profiles.save(profile)
        return profile
