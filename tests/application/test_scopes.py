"""Every use case that takes an actor refuses programs what their access token does not permit, on every transport."""

from collections.abc import Callable, Iterator
from typing import Any, get_args, get_type_hints

import pytest
from attrs import evolve, fields, has

from application.actor import Actor
from application.messenger import Messenger
from domain.scope import Scope, ScopeMissing
from tests.world import MessengerWorld, world

READS = {"profiles.read_own", "profiles.read", "profiles.find", "feed.connect", "feed.sync"}
"""They are permitted to every token, as are the reads that take the id of a profile instead of an actor."""

OF_SCOPES = {
    "chats.create": Scope.CHATS,
    "chats.change": Scope.CHATS,
    "chats.delete": Scope.CHATS,
    "chats.open_direct": Scope.CHATS,
    "chats.add_members": Scope.CHATS,
    "chats.remove_member": Scope.CHATS,
    "chats.change_role": Scope.CHATS,
    "messages.send": Scope.MESSAGES,
    "messages.mark_read": Scope.MESSAGES,
    "messages.mark_single": Scope.MESSAGES,
    "messages.show_typing": Scope.MESSAGES,
}
"""What a scope permits. All other use cases are for devices alone."""


def of_actors(messenger: Messenger) -> Iterator[tuple[str, Callable[..., Any], int]]:
    """Every use case that takes an actor: its name, the use case, and the number of its other arguments."""
    for part in fields(Messenger):
        grouped = getattr(messenger, part.name)
        if has(type(grouped)):
            for name, hint in get_type_hints(type(grouped)).items():
                match get_args(hint):
                    case ([first, *others], _) if first is Actor:
                        yield f"{part.name}.{name}", getattr(grouped, name), len(others)


async def is_permitted(use: Callable[..., Any], actor: Actor, others: int) -> bool:
    """The use case is called without a command that it could carry out: what it does first is to look at the actor."""
    try:
        await use(actor, *[None] * others)
    except ScopeMissing:
        return False
    except Exception:  # noqa: BLE001 - it came as far as its command
        return True
    return True


@pytest.fixture
async def here() -> Any:
    async with world() as made:
        yield made


async def test_what_each_use_case_takes(here: MessengerWorld) -> None:
    person = await here.actor()
    found = dict.fromkeys(name for name, _, _ in of_actors(here.messenger))
    assert READS | OF_SCOPES.keys() <= found.keys()
    assert len(found) > 20
    wrong: list[tuple[str, object, bool]] = []
    for name, use, others in of_actors(here.messenger):
        for scopes in (
            frozenset[Scope](),
            frozenset({Scope.CHATS}),
            frozenset({Scope.MESSAGES}),
            frozenset(Scope),
        ):
            permitted = await is_permitted(use, evolve(person, scopes=scopes), others)
            if permitted is not (name in READS or OF_SCOPES.get(name) in scopes):
                wrong.append((name, scopes, permitted))
        if name not in READS and not await is_permitted(use, person, others):
            wrong.append((name, None, False))
    assert wrong == []
