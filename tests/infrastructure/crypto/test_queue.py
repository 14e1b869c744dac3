import asyncio
from collections.abc import Callable

import pytest
from attrs import define, field

from application.errors import Overloaded
from application.ports.passwords import Requester
from infrastructure.crypto.queue import FairQueue, complaints


@define
class Crowd:
    """Requesters of one queue. Each holds its place until it is told to go on; ``order`` tells who got one, and when."""

    queue: FairQueue
    order: list[str] = field(factory=list)
    tasks: dict[str, asyncio.Task[None]] = field(factory=dict)
    leave: dict[str, asyncio.Event] = field(factory=dict)

    async def come(self, name: str, requester: Requester) -> None:
        self.leave[name] = asyncio.Event()

        async def take_a_turn() -> None:
            async with self.queue.turn(requester):
                self.order.append(name)
                await self.leave[name].wait()

        self.tasks[name] = asyncio.create_task(take_a_turn())
        await asyncio.sleep(0)

    async def everybody_leaves(self) -> list[str]:
        while waiting := [name for name in self.order if not self.leave[name].is_set()]:
            self.leave[waiting[0]].set()
            for _ in range(3):
                await asyncio.sleep(0)
        return self.order

    def is_refused(self, name: str) -> bool:
        task = self.tasks[name]
        return task.done() and isinstance(task.exception(), Overloaded)


def of(network: str, account: str = "", *, is_known: bool = False) -> Requester:
    return Requester(network=network, account=account, is_known=is_known)


async def test_seventy_of_one_network_leave_room_for_others() -> None:
    crowd = Crowd(FairQueue(places=2, backlog=64, share=8))
    for number in range(70):
        await crowd.come(f"flood {number}", of("192.0.2.1", f"account {number}"))
    await crowd.come("somebody", of("198.51.100.1", "somebody"))
    assert sum(map(crowd.is_refused, crowd.tasks)) == 60
    assert not crowd.is_refused("somebody")
    order = await crowd.everybody_leaves()
    assert order.index("somebody") == 3, "behind the two that were in and one of those that waited"


async def test_refusals_are_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    complaints._told.clear()
    crowd = Crowd(FairQueue(places=1, backlog=2, share=8))
    for number in range(6):
        await crowd.come(f"{number}", of(f"192.0.2.{number}"))
    assert sum(map(crowd.is_refused, crowd.tasks)) == 3
    assert [record.getMessage() for record in caplog.records] == [
        "passwords: overloaded: 3 are being hashed or wait for it"
    ]
    await crowd.everybody_leaves()


async def test_many_networks_of_one_account_leave_room_for_others() -> None:
    crowd = Crowd(FairQueue(places=1, backlog=64, share=8))
    for number in range(70):
        await crowd.come(f"flood {number}", of(f"192.0.2.{number}", "one"))
    await crowd.come("somebody", of("198.51.100.1", "somebody"))
    assert sum(map(crowd.is_refused, crowd.tasks)) == 61
    assert "somebody" in await crowd.everybody_leaves()


async def test_known_devices_go_first_and_have_a_line_of_their_own() -> None:
    crowd = Crowd(FairQueue(places=1, backlog=10, share=8))
    for number in range(20):
        await crowd.come(f"stranger {number}", of(f"192.0.2.{number}", f"account {number}"))
    await crowd.come("known", of("192.0.2.1", "account 1", is_known=True))
    assert sum(map(crowd.is_refused, crowd.tasks)) == 9
    assert (await crowd.everybody_leaves())[:2] == ["stranger 0", "known"]


async def test_networks_take_turns() -> None:
    crowd = Crowd(FairQueue(places=1, backlog=64, share=8))
    for name, network in [("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b"), ("b2", "b"), ("c1", "c")]:
        await crowd.come(name, of(network))
    assert await crowd.everybody_leaves() == ["a1", "a2", "b1", "c1", "a3", "b2"]


async def test_who_gives_up_leaves_nothing_behind() -> None:
    queue = FairQueue(places=1, backlog=2, share=1)
    crowd = Crowd(queue)
    await crowd.come("in", of("a"))
    await crowd.come("waiting", of("b"))
    await crowd.come("too many", of("b"))
    assert crowd.is_refused("too many")
    crowd.tasks["waiting"].cancel()
    await asyncio.sleep(0)
    await crowd.come("next", of("b"))
    assert await crowd.everybody_leaves() == ["in", "next"]
    await crowd.come("last", of("c"))
    assert crowd.order[-1] == "last"


async def test_a_place_that_nobody_takes_is_handed_on() -> None:
    crowd = Crowd(FairQueue(places=1, backlog=8, share=8))
    await crowd.come("in", of("a"))
    await crowd.come("gone", of("b"))
    await crowd.come("next", of("c"))
    crowd.leave["in"].set()
    crowd.tasks["in"].add_done_callback(lambda _: crowd.tasks["gone"].cancel())
    for _ in range(6):
        await asyncio.sleep(0)
    crowd.leave["gone"].set()
    assert "next" in await crowd.everybody_leaves()


@pytest.mark.parametrize("fail", [ZeroDivisionError, asyncio.CancelledError])
async def test_work_that_fails_gives_its_place_back(fail: Callable[[], BaseException]) -> None:
    queue = FairQueue(places=1, backlog=1, share=1)
    for _ in range(3):
        with pytest.raises(fail):  # type: ignore[call-overload]
            async with queue.turn(of("a")):
                raise fail()
    async with queue.turn(of("a")):
        pass
