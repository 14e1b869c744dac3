"""The five example people of a LOCAL start, as data that is the same on every installation."""

from typing import Final
from uuid import UUID, uuid5

from attrs import frozen

from domain.ids import AccountId, ProfileId

PASSWORD: Final = "admin"  # noqa: S105 - public, as the README says
"""Shorter than any password that can be chosen."""

NAMESPACE: Final = UUID("b9b1a1f4-6a5e-5d0c-8c55-2f6f8a1c7e30")
"""The namespace from which the ids of examples are derived. Changing it would add all examples a second time."""


def named(what: str) -> UUID:
    return uuid5(NAMESPACE, what)


@frozen(kw_only=True)
class Person:
    email: str
    username: str
    first_name: str
    last_name: str
    middle_name: str | None = None
    phone: str

    @property
    def account_id(self) -> AccountId:
        return AccountId(named(f"account {self.email}"))

    @property
    def profile_id(self) -> ProfileId:
        return ProfileId(named(f"profile {self.email}"))


# Numbers that are reserved for films, so that nobody is called by accident.
VERA: Final = Person(
    email="admin@admin.ru",
    username="vera",
    first_name="Вера",
    middle_name="Андреевна",
    last_name="Соколова",
    phone="+447700900101",
)
THEO: Final = Person(
    email="api-test@example.com",
    username="theo",
    first_name="Theo",
    last_name="Lindqvist",
    phone="+447700900102",
)
ANNA: Final = Person(
    email="user1@example.com",
    username="anna",
    first_name="Анна",
    middle_name="Игоревна",
    last_name="Морозова",
    phone="+447700900103",
)
MISHA: Final = Person(
    email="user2@example.com",
    username="миша",
    first_name="Михаил",
    last_name="Гусев",
    phone="+447700900104",
)
CHLOE: Final = Person(
    email="user3@example.com",
    username="chloe",
    first_name="Chloe",
    middle_name="June",
    last_name="Marchetti",
    phone="+447700900105",
)

PEOPLE: Final = (VERA, THEO, ANNA, MISHA, CHLOE)
