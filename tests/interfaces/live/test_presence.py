"""Who is online is told to those who share a chat and asked, and to nobody else."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest

from application.accounts.delete_account import DeleteAccount
from application.chats.delete import DeleteChat
from application.chats.remove_member import RemoveMember
from application.errors import Unavailable
from application.views import Contact
from domain.account import Email
from domain.ids import ChatId, ProfileId
from interfaces.live.presence import SEEN_REMEMBERED, Presence
from tests.all_chats import Device, House, opened
from tests.interfaces.live.test_hub import until
from tests.interfaces.ws.asgi import connected
from tests.world import SignedInPerson

LONG = 300.0
"""Seconds in which nothing settles."""


def id_of(who: Device | SignedInPerson) -> ProfileId:
    return (who.person if isinstance(who, Device) else who).actor.profile_id


async def devices(house: House, *names: str) -> list[Device]:
    return [Device(house, await house.world.person(name)) for name in names]


async def chat_of(house: House, *there: Device) -> ChatId:
    return await house.world.chat(*(device.person.actor for device in there))


async def close_account(house: House, of: Device) -> None:
    administration = house.world.application.administration()
    await administration.delete_account(DeleteAccount(email=Email(of.person.actor.email)))


async def watch(device: Device, *who: Device | SignedInPerson | UUID) -> dict[str, bool]:
    """Watches everybody that the device may watch, and returns who is online."""
    ids = [str(each if isinstance(each, UUID) else id_of(each)) for each in who]
    answer = await device.ask("watch_presence", profile_ids=ids)
    return {state["user_id"]: state["online"] for state in answer["watching"]}


def told(device: Device, about: Device) -> list[bool | None]:
    """The states of one person that a device was told; None for the end of the watch."""
    return [
        frame.get("online")
        for frame in device.of("presence", "presence_ended")
        if frame["user_id"] == str(id_of(about))
    ]


async def hears(device: Device, about: Device, *states: bool | None) -> None:
    await until(lambda: len(told(device, about)) >= len(states))
    assert told(device, about) == [*states]


class TestWatching:
    async def test_coming_and_going_are_told_and_nobody_else_is(self) -> None:
        async with opened() as house:
            ann, bob, cid = await devices(house, "Ann", "Bob", "Cid")
            await chat_of(house, ann, bob, cid)
            await ann.come()
            assert await watch(ann, bob) == {str(id_of(bob)): False}
            await bob.come()
            await cid.come()
            await hears(ann, bob, True)
            await bob.go()
            await hears(ann, bob, True, False)
            frame = ann.of("presence")[-1]
            assert frame.keys() == {"type", "user_id", "online", "last_seen_at"}
            assert frame["last_seen_at"] is not None
            assert ann.of("presence")[0]["last_seen_at"] is None
            assert told(ann, cid) == []
            assert cid.of("presence") == [], "nobody is told without having asked"

    async def test_any_socket_counts_and_the_last_one_decides(self) -> None:
        async with opened() as house:
            ann, bob, tablet = await devices(house, "Ann", "Bob", "Bob")
            tablet.person = bob.person
            chat = await chat_of(house, ann, bob)
            await ann.come()
            await watch(ann, bob)
            async with connected(house.app, f"/chats/{chat}/ws") as phone:
                phone.send_json({"type": "auth", "token": bob.person.token})
                await phone.receive(2)
                await hears(ann, bob, True)
                await tablet.come()
            await ann.ask("ping")
            assert told(ann, bob) == [True]
            await tablet.go()
            await hears(ann, bob, True, False)

    async def test_who_comes_back_soon_was_never_away(self) -> None:
        async with opened(presence_pause=LONG) as house:
            ann, bob = await devices(house, "Ann", "Bob")
            await chat_of(house, ann, bob)
            await ann.come()
            await watch(ann, bob)
            for _ in range(3):
                await bob.come()
                await bob.go()
            await hears(ann, bob, True)
            presence = house.hub.presence
            assert presence.is_online(id_of(bob))
            presence._leaving[id_of(bob)] = 0.0  # the pause is over
            presence._settle()
            await hears(ann, bob, True, False)

    async def test_each_request_names_everybody_who_is_watched(self) -> None:
        async with opened() as house:
            ann, bob, cid = await devices(house, "Ann", "Bob", "Cid")
            await chat_of(house, ann, bob, cid)
            await ann.come()
            await watch(ann, bob, bob, ann)
            assert await watch(ann, cid) == {str(id_of(cid)): False}
            await bob.come()
            await cid.come()
            await hears(ann, cid, True)
            assert told(ann, bob) == []
            assert await watch(ann) == {}
            await cid.go()
            await until(lambda: not house.hub.presence.is_online(id_of(cid)))
            await ann.ask("ping")
            assert told(ann, cid) == [True]

    async def test_too_many_are_refused_and_nothing_changes(self) -> None:
        async with opened(watched_profiles=2) as house:
            ann, bob, cid, dan = await devices(house, "Ann", "Bob", "Cid", "Dan")
            await chat_of(house, ann, bob, cid, dan)
            await ann.come()
            await watch(ann, bob)
            ids = [str(id_of(each)) for each in (bob, cid, dan)]
            refused = await ann.ask("watch_presence", profile_ids=ids)
            assert (refused["type"], refused["code"]) == ("error", "too_many_profiles")
            await bob.come()
            await hears(ann, bob, True)

    async def test_storage_that_does_not_answer_changes_nothing(self) -> None:
        async with opened() as house:
            ann, bob, cid = await devices(house, "Ann", "Bob", "Cid")
            await chat_of(house, ann, bob, cid)
            await ann.come()
            await watch(ann, bob)
            presence = house.hub.presence
            answering = presence.watchable

            async def silent(*_: Any) -> Sequence[Contact]:
                raise Unavailable

            presence.watchable = silent
            refused = await ann.ask("watch_presence", profile_ids=[str(id_of(cid))])
            assert refused["code"] == "unavailable"
            presence.watchable = answering
            await cid.come()
            await bob.come()
            await hears(ann, bob, True)
            assert told(ann, cid) == []

    async def test_nothing_is_left_of_those_who_have_gone(self) -> None:
        async with opened() as house:
            ann, bob = await devices(house, "Ann", "Bob")
            await chat_of(house, ann, bob)
            await ann.come()
            await bob.come()
            await watch(ann, bob)
            await watch(bob, ann)
            await ann.go()
            await bob.go()
            await until(lambda: house.hub.presence.is_empty)


class TestWhoMayWatch:
    async def test_strangers_unknown_ids_and_closed_accounts_look_the_same(self) -> None:
        async with opened() as house:
            ann, stranger, closed = await devices(house, "Ann", "Stranger", "Closed")
            await chat_of(house, ann, closed)
            await ann.come()
            await stranger.come()
            await close_account(house, closed)
            assert await watch(ann, stranger, closed, uuid4()) == {}
            await stranger.go()
            await until(lambda: not house.hub.presence.is_online(id_of(stranger)))
            await ann.ask("ping")
            assert ann.of("presence", "presence_ended") == []

    @pytest.mark.parametrize("how", ["leaves", "removes the other", "deletes the chat"])
    @pytest.mark.parametrize("is_announced", [True, False])
    async def test_it_ends_with_the_last_shared_chat(self, how: str, is_announced: bool) -> None:
        async with opened() as house:
            bob, ann = await devices(house, "Bob", "Ann")
            kept, lost = await chat_of(house, bob, ann), await chat_of(house, bob, ann)
            await bob.come()
            await ann.come()
            await watch(ann, bob)
            await watch(bob, ann)
            chats = house.world.messenger.chats

            async def lose(chat_id: ChatId) -> None:
                if how == "deletes the chat":
                    await chats.delete(bob.person.actor, DeleteChat(chat_id=chat_id))
                else:
                    by = ann if how == "leaves" else bob
                    command = RemoveMember(chat_id=chat_id, profile_id=id_of(ann))
                    await chats.remove_member(by.person.actor, command)

            house.hears = is_announced
            await lose(lost)
            await until(lambda: len(ann.of("chat_removed")) == 1)
            house.hears = True
            await ann.go()
            await hears(bob, ann, False)
            await ann.come()
            await hears(bob, ann, False, True)
            await watch(ann, bob)
            house.hears = is_announced
            await lose(kept)
            await hears(bob, ann, False, True, None)
            await hears(ann, bob, None)
            await ann.go()
            await until(lambda: not house.hub.presence.is_online(id_of(ann)))
            await bob.ask("ping")
            assert told(bob, ann) == [False, True, None]

    async def test_it_ends_with_the_account_though_the_direct_chat_stays(self) -> None:
        async with opened(presence_pause=LONG) as house:
            ann, bob = await devices(house, "Ann", "Bob")
            await house.world.chat(ann.person.actor, bob.person.actor)
            await ann.come()
            await bob.come()
            await watch(ann, bob)
            await close_account(house, bob)
            await hears(ann, bob, None)

    async def test_nothing_is_told_while_it_is_in_doubt(self) -> None:
        """Between the end of a chat and what storage says about the others."""
        async with opened() as house:
            ann, bob = await devices(house, "Ann", "Bob")
            lost, _ = [await chat_of(house, ann, bob) for _ in range(2)]
            await ann.come()
            await watch(ann, bob)
            presence = house.hub.presence
            answering, asked = presence.watchable, []

            async def silent(_: ProfileId, wanted: Sequence[ProfileId]) -> Sequence[Contact]:
                asked.append(wanted)
                raise Unavailable

            presence.watchable = silent
            await house.world.messenger.chats.remove_member(
                ann.person.actor, RemoveMember(chat_id=lost, profile_id=id_of(bob))
            )
            await until(lambda: len(asked) >= 2)
            await bob.come()
            await ann.ask("ping")
            assert told(ann, bob) == []
            presence.watchable = answering
            await hears(ann, bob, True)

    async def test_a_chat_that_ends_while_storage_is_asked_counts(self) -> None:
        """The read began before the removal, and its answer is thrown away."""
        async with opened() as house:
            ann, bob = await devices(house, "Ann", "Bob")
            chat = await chat_of(house, ann, bob)
            await ann.come()
            await bob.come()
            presence = house.hub.presence
            answering = presence.watchable

            async def slow(watcher: ProfileId, wanted: Sequence[ProfileId]) -> Sequence[Contact]:
                presence.watchable = answering
                found = await answering(watcher, wanted)
                await house.world.messenger.chats.remove_member(
                    ann.person.actor, RemoveMember(chat_id=chat, profile_id=id_of(bob))
                )
                return found

            presence.watchable = slow
            assert await watch(ann, bob) == {}


async def test_a_slow_reader_is_told_the_latest_state_once() -> None:
    class Slow:
        profile_id, is_connected, has_room = ProfileId(uuid4()), True, False

        def __init__(self) -> None:
            self.heard: list[Any] = []

        def tell(self, frame: Any, *_: Any) -> None:
            self.heard.append(frame.text)

    bob = ProfileId(uuid4())

    async def anybody(_: ProfileId, wanted: Sequence[ProfileId]) -> Sequence[Contact]:
        return [Contact(profile_id=each, last_used_at=None) for each in wanted]

    async with opened() as house:
        presence = Presence(watchable=anybody, now=house.hub.clock.now, pause=0, most=10, interval=1)
        slow: Any = Slow()
        await presence.watch(slow, [bob])
        presence.arrived(bob)
        presence.tell_untold()
        assert slow.heard == []
        slow.has_room = True
        presence.tell_untold()
        presence.tell_untold()
        assert len(slow.heard) == 1
        assert '"online":true' in slow.heard[0]
        for _ in range(SEEN_REMEMBERED + 1):
            presence.arrived(other := ProfileId(uuid4()))
            presence.departed(other)
        assert len(presence._seen) == SEEN_REMEMBERED
        gone: Any = Slow()
        gone.is_connected = False
        assert await presence.watch(gone, [bob]) == [], "whose request is carried out after it has gone"
        presence.departed(bob)
        presence.leave(slow)
        assert presence.is_empty
