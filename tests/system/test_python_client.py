"""Every method of the Python client against the messenger as people start it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TypeVar

import httpx
import pytest

from messenger_client import (
    ChatAdded,
    ChatChanged,
    ChatRemoved,
    Ended,
    FileStorage,
    MarksMoved,
    MemoryStorage,
    MessageRefused,
    MessageSent,
    MessengerClient,
    NewMessage,
    Refused,
    State,
    Typing,
)
from tests.system.client import PASSWORD, PATIENCE
from tests.system.server import Server

T = TypeVar("T")

NO_CHAT = "00000000-0000-0000-0000-000000000000"


class ConnectedPerson:
    """A client that is connected, and everything that it was told."""

    def __init__(self, client: MessengerClient) -> None:
        self.client = client
        self.told: list[object] = []
        self._news = asyncio.Event()
        client.on_change(self._hear)

    def _hear(self, change: object) -> None:
        self.told.append(change)
        self._news.set()

    async def hears(self, kind: type[T]) -> T:
        """The first change of a kind, which is taken out."""
        async with asyncio.timeout(PATIENCE):
            while True:
                for change in self.told:
                    if isinstance(change, kind):
                        self.told.remove(change)
                        return change
                self._news.clear()
                await self._news.wait()


@pytest.fixture
async def people(server: Server) -> AsyncIterator[tuple[ConnectedPerson, ConnectedPerson]]:
    async with AsyncExitStack() as stack:
        found = []
        for number in (1, 2):
            client = MessengerClient(server.url, email=f"user{number}@example.com", password=PASSWORD)
            person = ConnectedPerson(await stack.enter_async_context(client))
            async with asyncio.timeout(PATIENCE):
                await client.until(State.LIVE)
            person.told.clear()
            found.append(person)
        ann, bob = found
        yield ann, bob


async def test_a_conversation(people: tuple[ConnectedPerson, ConnectedPerson]) -> None:
    ann, bob = people
    chat = await ann.client.create_chat("talk", [bob.client.profile_id], description="about")
    assert (await bob.hears(ChatAdded)).chat.id == chat.id
    sent = await ann.client.say(chat.id, "hello", nonce="one")
    assert (sent.seq, sent.is_duplicate) == (1, False)
    assert (await ann.client.say(chat.id, "hello", nonce="one")).is_duplicate
    told = await bob.hears(NewMessage)
    assert (told.message.text, told.message.nonce, told.is_own) == ("hello", "one", False)
    assert told.message.sender_id == ann.client.profile_id
    assert told.message.sender.name
    assert told.chat.unread_count == bob.client.chats[chat.id].unread_count == 1
    assert bob.client.unread_count >= 1
    assert await bob.client.mark_read(chat.id, 1) == 0
    assert (await bob.hears(MarksMoved)).chat.read_up_to == 1
    assert (await ann.hears(MarksMoved)).chat.others_read_up_to == 1
    assert [reader.profile.id for reader in await ann.client.readers(chat.id, sent.id)] == [
        bob.client.profile_id
    ]
    await bob.client.typing(chat.id)
    assert (await ann.hears(Typing)).profile_id == bob.client.profile_id
    page = await bob.client.history(chat.id, after=0, limit=10)
    assert ([message.text for message in page.messages], page.total_count) == (["hello"], 1)
    assert (page.has_before, page.has_after) == (False, False)
    (frame,) = await bob.client.catch_up(chat.id, sent.position - 1)
    assert frame["message"]["text"] == "hello"
    assert [message.text for message in bob.client.messages(chat.id)] == ["hello"]
    await bob.client.mark_single_read(chat.id, sent.id)


async def test_members_and_roles(people: tuple[ConnectedPerson, ConnectedPerson]) -> None:
    ann, bob = people
    chat = await ann.client.create_chat("group", [])
    members = await ann.client.add_members(chat.id, [bob.client.profile_id])
    assert [member.role for member in members] == ["owner", "member"]
    await bob.hears(ChatAdded)
    changed = await ann.client.change_chat(chat.id, name="circle")
    assert changed.name == "circle"
    assert (await bob.hears(ChatChanged)).chat.name == "circle"
    await ann.client.change_role(chat.id, bob.client.profile_id, "owner")
    assert (await bob.hears(ChatChanged)).chat.role == "owner"
    assert bob.client.chats[chat.id].owner_id == bob.client.profile_id
    with pytest.raises(Refused, match="not_the_owner"):
        await ann.client.delete_chat(chat.id)
    with pytest.raises(Refused, match="not_the_owner"):
        await ann.client.change_chat(NO_CHAT, name="nothing")
    await ann.client.leave_chat(chat.id)
    assert (await ann.hears(ChatRemoved)).reason == "left"
    await bob.client.delete_chat(chat.id)
    assert (await bob.hears(ChatRemoved)).reason == "chat_deleted"
    assert chat.id not in ann.client.chats.keys() | bob.client.chats.keys()


async def test_direct_chats_and_presence(people: tuple[ConnectedPerson, ConnectedPerson]) -> None:
    ann, bob = people
    chat = await ann.client.open_direct(bob.client.profile_id)
    assert chat.kind == "direct"
    assert (await bob.client.open_direct(ann.client.profile_id)).id == chat.id
    (seen,) = await ann.client.watch_presence([bob.client.profile_id])
    assert (seen.profile_id, seen.is_online) == (bob.client.profile_id, True)


async def test_a_refused_message_is_told(people: tuple[ConnectedPerson, ConnectedPerson]) -> None:
    ann, bob = people
    chat = await ann.client.create_chat("refusals", [bob.client.profile_id])
    with pytest.raises(Refused, match="message_too_long"):
        await ann.client.say(chat.id, "x" * 5000)
    await ann.client.send(chat.id, "after it", nonce="after")
    assert (await ann.hears(MessageRefused)).code == "message_too_long"
    while (await ann.hears(MessageSent)).nonce != "after":
        pass
    assert ann.client.unsent == 0


@asynccontextmanager
async def connected(client: MessengerClient) -> AsyncIterator[MessengerClient]:
    async with asyncio.timeout(PATIENCE), client:
        await client.until(State.LIVE)
        yield client


async def test_a_storage_carries_the_session_and_the_outbox(server: Server, tmp_path: Path) -> None:
    path, email = tmp_path / "kept", "user3@example.com"
    async with connected(
        MessengerClient(server.url, email=email, password=PASSWORD, storage=FileStorage(path))
    ) as client:
        added = asyncio.Event()
        client.on_change(lambda change: added.set() if isinstance(change, ChatAdded) else None)
        chat = await client.create_chat("kept", [])
        await client.say(chat.id, "before")
        await added.wait()  # which may come after both answers
    offline = MessengerClient("http://127.0.0.1:9", email=email, storage=FileStorage(path))
    async with offline:
        nonce = await offline.send(chat.id, "meanwhile")
        assert offline.unsent == 1
        assert offline.chats[chat.id].name == "kept"
    async with connected(MessengerClient(server.url, email=email, storage=FileStorage(path))) as client:
        sent = await client.say(chat.id, "meanwhile", nonce=nonce)
        assert sent.seq == 2
        token = await client.access_token()
        async with httpx.AsyncClient(base_url=server.url) as http:
            answer = await http.get("/accounts/me/", headers={"Authorization": f"Bearer {token}"})
        assert answer.json()["data"]["profileId"] == client.profile_id
        await client.sign_out()
        assert client.state is State.STOPPED
    with pytest.raises(Ended, match="signed out"):
        async with connected(MessengerClient(server.url, email=email, storage=FileStorage(path))):
            pass


async def test_the_storage_of_another_account_is_emptied(server: Server) -> None:
    storage = MemoryStorage()
    async with connected(
        MessengerClient(server.url, email="user3@example.com", password=PASSWORD, storage=storage)
    ) as client:
        first = client.profile_id
    async with connected(
        MessengerClient(server.url, email="user1@example.com", password=PASSWORD, storage=storage)
    ) as client:
        assert client.profile_id != first


async def test_a_wrong_password_ends_it(server: Server) -> None:
    with pytest.raises(Ended, match="AUTH_ERROR"):
        async with connected(MessengerClient(server.url, email="user1@example.com", password="wrong")):
            pass


async def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="http://"):
        MessengerClient("ftp://example.com", email="user1@example.com")


async def test_nothing_is_sent_by_a_client_that_does_not_run(server: Server) -> None:
    client = MessengerClient(server.url, email="user1@example.com", password=PASSWORD)
    with pytest.raises(Ended):
        await client.send("chat", "text")
    with pytest.raises(Ended):
        await client.history("chat")
