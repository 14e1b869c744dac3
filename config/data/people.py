"""The five example people of a LOCAL start, as data that is the same on every installation."""

from typing import Final

from application.examples.script import Person

PASSWORD: Final = "admin"  # noqa: S105 - public, as the README says
"""Shorter than any password that can be chosen."""

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
