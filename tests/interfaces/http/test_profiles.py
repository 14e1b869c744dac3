from tests.interfaces.http.conftest import HttpWorld


async def test_ones_own_profile(world: HttpWorld) -> None:
    ann = await world.person("ann@example.com")
    empty = dict.fromkeys(["firstName", "lastName", "middleName", "username", "phone"]) | {"id": ann.id}
    assert (await ann.client.get("/accounts/profile/")).json()["data"] == empty
    edited = await ann.client.patch(
        "/accounts/profile/",
        json={"firstName": " Анна ", "last_name": "Ли", "username": "Ann", "phone": "+79161234567"},
    )
    named = empty | {"firstName": "Анна", "lastName": "Ли", "username": "Ann", "phone": "+79161234567"}
    assert edited.json() == {"status": "success", "data": named}
    cleared = await ann.client.patch("/accounts/profile/", json={"lastName": None, "nonsense": 1})
    assert cleared.json()["data"] == named | {"lastName": None}


async def test_finding_and_reading_others(world: HttpWorld) -> None:
    ann, bob = await world.person("ann@example.com"), await world.person("bob@example.com")
    await bob.client.patch(
        "/accounts/profile/", json={"firstName": "Bob", "username": "bobby", "phone": "+79161234567"}
    )
    shown = {"firstName": "Bob", "lastName": None, "middleName": None, "username": "bobby", "id": bob.id}
    assert (await ann.client.get("/profiles/?query=BOB&limit=5")).json()["data"] == [shown]
    assert (await ann.client.get(f"/profiles/{bob.id}/")).json()["data"] == shown
    assert (await ann.client.get("/profiles/")).json()["data"] == []

    taken = await ann.client.patch("/accounts/profile/", json={"username": "BOBBY"})
    assert (taken.status_code, taken.json()["error"]["code"]) == (409, "USERNAME_TAKEN")
    nobody = await ann.client.get(f"/profiles/{ann.actor.account_id}/")
    assert (nobody.status_code, nobody.json()["error"]["code"]) == (404, "NOT_FOUND")
    assert (await world.client().get("/profiles/")).status_code == 401
