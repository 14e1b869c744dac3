"""
Pages of fifty messages, wherever they lie, and who has read one, in three chats of one database:

    python -m tests.benchmarks.history [--messages 1000000] [--others 10000] [--rounds 3] [--seconds 0.4]

- large: a million messages of ten people;
- quiet: two hundred, strewn over the messages of ten thousand other chats;
- much read: a hundred thousand, of two hundred people each of whom has moved their mark thousands of times.

What counts is how much more a page costs than the newest one of its chat. Beside the pages stand the newest one as a client
asks for it that has it already (304), and the cheapest request of somebody who is signed in, which every page costs too.
"""

import argparse
import asyncio
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from uuid import UUID

from tests.benchmarks.asking import Asking, Cost, by_turns, cost
from tests.benchmarks.filling import Grown, fill, people
from tests.benchmarks.house import Installation, house
from tests.system.client import Visit

PAGE = 50


async def who(house: Installation) -> tuple[str, UUID]:
    """The access token and the profile of the reader."""
    async with Visit(house.server.url, house.server.ws_url) as visit:
        device = await visit.user(1)
        return device.token, UUID(device.profile_id)


def grow(house: Installation, reader: UUID, messages: int, others: int) -> list[Grown]:
    with house.postgres.connect("messenger") as connection:
        crowd = people(connection, 1000)
        measured = [
            Grown(name="large", messages=messages, members=[reader, *crowd[:9]], steps=(50,)),
            Grown(name="quiet", messages=200, members=[reader, *crowd[:2]], steps=(1, 2)),
            Grown(
                name="much read",
                messages=messages // 10,
                members=[reader, *crowd[:199]],
                steps=(10, 20, 40),
                read=0.99,
                singly=7,
            ),
        ]
        pairs = [(crowd[number % 1000], crowd[(number + 1) % 1000]) for number in range(others)]
        fill(connection, [*measured, *(Grown(name="another", messages=20, members=pair) for pair in pairs)])
    return measured


def places(messages: int) -> Mapping[str, str]:
    """By what pages are asked for."""
    half, last_page = messages // 2, messages // PAGE
    return {
        "the newest": "",
        "before, in the middle": f"&before={half}",
        "after, in the middle": f"&after={half}",
        "around the middle": f"&around={half}",
        "before: the oldest": f"&before={PAGE + 1}",
        "after: the oldest": "&after=0",
        "by number, in the middle": f"&offset={max(1, last_page // 2)}",
        "by number: the last": f"&offset={last_page}",
    }


def ways(asking: Asking, chat: Grown, seconds: float) -> Iterator[tuple[str, Callable[[], Cost]]]:
    pages = f"/chats/{chat.id}/history/?limit={PAGE}"
    for name, query in places(chat.messages).items():
        path = pages + query
        page = asking.data(path)["entities"]
        assert len(page) == PAGE, path
        assert {message["chatId"] for message in page} == {f"{chat.id}"}
        yield name, partial(asking.cost, path, seconds)
    again = partial(asking.ask_again, pages, asking.tag(pages))
    yield "the newest, which is known", partial(cost, asking.house, again, seconds)
    yield "no page: /accounts/me/", partial(asking.cost, "/accounts/me/", seconds)
    for name, query in (
        ("the newest", ""),
        ("the middle", f"&around={chat.messages // 2}"),
        ("the oldest", "&after=0"),
    ):
        message = asking.data(pages + query)["entities"][PAGE // 2]
        path = f"/chats/{chat.id}/messages/{message['id']}/readers/"
        yield f"readers: {name}", partial(asking.cost, path, seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--others", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.4)
    options = parser.parse_args()
    with house() as built:
        token, reader = asyncio.run(who(built))
        asking = Asking.by(built, token)
        for chat in grow(built, reader, options.messages, options.others):
            print(f"{chat.name}: {chat.messages:,} messages, {len(chat.members)} members")
            costs = by_turns(dict(ways(asking, chat, options.seconds)), options.rounds)
            newest = None
            for name, each in costs.items():
                if name.endswith("the newest"):
                    newest = each
                assert newest is not None
                print(
                    f"  {name:>26}: {each}; {each.p50 / newest.p50:.2f} x in time, {each.cpu / newest.cpu:.2f} x in CPU"
                )
        asking.connection.close()


if __name__ == "__main__":
    main()
