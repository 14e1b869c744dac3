"""The ends of sessions, as their sockets hear of them; the page for a forgotten password, in what a browser would send."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.system.client import ChatSocket, Device, Visit, data
from tests.system.server import Server

EMAIL = "many@example.com"
FIRST, SECOND = "Correct-Horse", "Battery-Staple"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("sessions")
    with Server(folder, {"AUTH_REFRESH_GRACE_SECONDS": "0"}, is_new=False).running() as server:
        yield server


@pytest.fixture
async def person(here: Server) -> AsyncIterator["AccountHolder"]:
    async with Visit(here.url, here.ws_url) as visit:
        person = AccountHolder(here, visit)
        await person.join()
        yield person


class AccountHolder:
    """Somebody new for each test, and what they may do on several devices."""

    number = 0

    def __init__(self, server: Server, visit: Visit) -> None:
        AccountHolder.number += 1
        self.server, self.visit, self.email = server, visit, f"{AccountHolder.number}-{EMAIL}"
        self.chat_id = ""

    async def join(self) -> None:
        http = await self.visit.anonymous()
        data(await http.post("/accounts/sign-up/", json={"email": self.email, "password": FIRST}))
        letter = self.server.await_letter(self.email)
        first = await self.visit.confirm(http, self.email, letter, "first")
        self.chat_id = await first.create_chat("A chat")

    async def on(self, device: str, password: str = FIRST) -> tuple[Device, ChatSocket]:
        signed_in = await self.visit.sign_in(self.email, device, password=password)
        return signed_in, await signed_in.open(self.chat_id)


async def is_open(socket: ChatSocket) -> bool:
    await socket.send("ping", id=1)
    return bool((await socket.until("pong"))["id"] == 1)


async def test_choosing_a_password_ends_the_sockets_of_all_other_devices(person: AccountHolder) -> None:
    mine, socket = await person.on("mine")
    others = [await person.on(name) for name in ("second", "third")]
    data(await mine.http.post("/accounts/password/set/", json={"password": SECOND}))
    for _, other in others:
        assert (await other.closed())[0] == 4401
    assert await is_open(socket)
    again, _ = await person.on("second", SECOND)
    assert data(await again.http.get("/accounts/me/"))["email"] == person.email


async def test_a_revoked_one_is_cut_and_no_other(person: AccountHolder) -> None:
    mine, socket = await person.on("mine")
    (gone, going), (_, staying) = await person.on("lost"), await person.on("kept")
    listed = data(await gone.http.get("/accounts/sessions/"))
    (own,) = [session["id"] for session in listed if session["current"]]
    proven = {"password": FIRST}
    data(await mine.http.request("DELETE", f"/accounts/sessions/{own}/", json=proven))
    assert (await going.closed())[0] == 4401
    assert await is_open(staying)
    assert data(await mine.http.request("DELETE", "/accounts/sessions/", json=proven)) == {"revoked": 2}
    assert (await staying.closed())[0] == 4401
    assert await is_open(socket)


async def test_a_used_refresh_token_ends_the_family_and_its_sockets(person: AccountHolder) -> None:
    mine, socket = await person.on("mine")
    _, other = await person.on("other")
    stolen = mine.refresh_token
    data(await mine.http.post("/accounts/token/refresh/", json={"fingerprint": "mine"}))
    assert await is_open(socket)
    thief = await person.visit.anonymous()
    thief.cookies.set("refresh_token", stolen, path="/accounts/")
    refused = await thief.post("/accounts/token/refresh/", json={"fingerprint": "mine"})
    assert refused.status_code == 401
    assert (await socket.closed())[0] == 4401
    again = await mine.http.post("/accounts/token/refresh/", json={"fingerprint": "mine"})
    assert again.status_code == 401
    assert await is_open(other)


async def test_a_closed_account_is_gone_everywhere_and_its_chats_go_on(person: AccountHolder) -> None:
    mine, socket = await person.on("mine")
    other = await person.visit.user(1)
    chat_id = await mine.create_chat("With another", other)
    listening = await other.open(chat_id)
    answer = await mine.http.request("DELETE", "/accounts/me/", json={"password": FIRST})
    assert data(answer) is None
    assert (await socket.closed())[0] == 4401
    await listening.until("member_removed", user_id=mine.profile_id)
    await listening.until("role_changed", user_id=other.profile_id, role="owner")
    assert data(await other.http.get(f"/chats/{chat_id}/"))["owner"]["id"] == other.profile_id
    body = {"email": person.email, "password": FIRST}
    assert (await mine.http.post("/accounts/sign-in/", json=body)).status_code == 401
