from uuid import uuid4

import pytest

from application.profiles.edit import EditProfile
from application.profiles.find import FindProfiles
from application.profiles.read import ReadProfile
from domain.ids import ProfileId
from domain.profile import Name, Phone, ProfileNotFound, Username, UsernameTaken
from domain.text import UnstorableText
from tests.accounts_world import AccountsWorld


async def test_ones_own_profile_shows_everything_and_others_see_no_phone(people: AccountsWorld) -> None:
    one = await people.actor(await people.join("one@example.com"))
    other = await people.actor(await people.join("two@example.com"))
    await people.profiles.edit(
        one, EditProfile(first_name=Name("Анна"), username=Username("Anna"), phone=Phone("+79991234567"))
    )
    own = await people.profiles.read_own(one)
    assert (own.first_name, own.phone) == (Name("Анна"), Phone("+79991234567"))
    seen = await people.profiles.read(other, ReadProfile(profile_id=one.profile_id))
    assert (seen.first_name, seen.username) == ("Анна", "Anna")
    assert not hasattr(seen, "phone")


async def test_nobody(people: AccountsWorld) -> None:
    one = await people.actor(await people.join("one@example.com"))
    with pytest.raises(ProfileNotFound):
        await people.profiles.read(one, ReadProfile(profile_id=ProfileId(uuid4())))


async def test_an_actor_is_seen_as_it_is_now(people: AccountsWorld) -> None:
    signed_in = await people.join("one@example.com")
    await people.profiles.edit(await people.actor(signed_in), EditProfile(first_name=Name("Анна")))
    assert (await people.actor(signed_in)).profile.first_name == "Анна"


async def test_a_username_is_somebodys_in_any_case(people: AccountsWorld) -> None:
    one = await people.actor(await people.join("one@example.com"))
    two = await people.actor(await people.join("two@example.com"))
    await people.profiles.edit(one, EditProfile(username=Username("Anna")))
    with pytest.raises(UsernameTaken):
        await people.profiles.edit(two, EditProfile(username=Username("aNNa"), first_name=Name("Анна")))
    assert (await people.profiles.read_own(two)).first_name is None, "nothing of it was kept"
    await people.profiles.edit(one, EditProfile(username=Username("ANNA")))
    await people.profiles.edit(one, EditProfile(username=None))
    await people.profiles.edit(two, EditProfile(username=Username("anna")))


async def test_finding_people(people: AccountsWorld) -> None:
    actor = await people.actor(await people.join("one@example.com"))
    for number, (username, name) in enumerate(
        [("Zoe", "Анна"), ("anna_k", None), ("per%cent", None), (None, "Аннушка")]
    ):
        one = await people.actor(await people.join(f"person{number}@example.com"))
        await people.profiles.edit(
            one,
            EditProfile(
                username=Username(username) if username else None, last_name=Name(name) if name else None
            ),
        )

    async def found(query: str, limit: int = 20) -> list[str | None]:
        return [
            view.username
            for view in (await people.profiles.find(actor, FindProfiles(query=query, limit=limit))).items
        ]

    assert await found("ANNA") == ["anna_k"]
    assert await found(" анн ") == ["Zoe", None], "in the order of what was found"
    assert await found("анн", limit=1) == ["Zoe"]
    for nobody in ("", "  ", "%", "_", "nna", "anna\\", "per_"):
        assert await found(nobody) == []
    assert await found("per%") == ["per%cent"]
    assert await found("анн", limit=0) == []
    with pytest.raises(UnstorableText):
        await found("a\0")


async def test_twenty_at_most(people: AccountsWorld) -> None:
    actor = await people.actor(await people.join("one@example.com"))
    for number in range(22):
        actor = await people.actor(await people.join(f"person{number}@example.com"))
        await people.profiles.edit(actor, EditProfile(username=Username(f"same{number:02}")))
    found = await people.profiles.find(actor, FindProfiles(query="same", limit=1000))
    assert [view.username for view in found.items] == [f"same{number:02}" for number in range(20)]
