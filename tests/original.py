"""A database of the original messenger: its tables, and people who have talked in it."""

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import bcrypt
import psycopg
from attrs import define, field

TABLES: Final = """
CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
CREATE TABLE account (
    id uuid PRIMARY KEY, created_at timestamp NOT NULL DEFAULT now(), updated_at timestamp NOT NULL DEFAULT now(),
    email varchar UNIQUE NOT NULL, password varchar NOT NULL, description varchar, is_confirmed bool NOT NULL,
    confirmation_token varchar(300)
);
CREATE TABLE profile (
    id uuid PRIMARY KEY, created_at timestamp NOT NULL DEFAULT now(), updated_at timestamp NOT NULL DEFAULT now(),
    last_name varchar(100), first_name varchar(100), middle_name varchar(100), username varchar(100) UNIQUE,
    account_id uuid UNIQUE NOT NULL REFERENCES account ON DELETE CASCADE
);
CREATE TABLE profile_personal_data (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), profile_id uuid UNIQUE NOT NULL REFERENCES profile ON DELETE CASCADE,
    phone varchar(12) UNIQUE
);
CREATE TABLE chat (
    id uuid PRIMARY KEY, created_at timestamp NOT NULL DEFAULT now(), updated_at timestamp NOT NULL DEFAULT now(),
    name varchar(100) NOT NULL, description varchar(250),
    owner_id uuid NOT NULL REFERENCES profile ON DELETE CASCADE
);
CREATE TABLE chat_user (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), created_at timestamp NOT NULL DEFAULT now(),
    chat_id uuid NOT NULL REFERENCES chat ON DELETE CASCADE, profile_id uuid NOT NULL REFERENCES profile ON DELETE CASCADE
);
CREATE TABLE message (
    id uuid PRIMARY KEY, created_at timestamp NOT NULL DEFAULT now(), chat_id uuid REFERENCES chat ON DELETE CASCADE,
    text varchar NOT NULL, sender_id uuid REFERENCES profile ON DELETE SET NULL, read_at timestamp, sent_at timestamp
);
CREATE TABLE message_read_status (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), message_id uuid NOT NULL REFERENCES message ON DELETE CASCADE,
    profile_id uuid NOT NULL REFERENCES profile ON DELETE CASCADE, read_at timestamp NOT NULL,
    UNIQUE (message_id, profile_id)
);
INSERT INTO alembic_version VALUES ('20250527182423');
"""

PASSWORD: Final = "Password1"
HASH: Final = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
BEGAN: Final = datetime(2025, 6, 1, 12)  # noqa: DTZ001 - in UTC; the original has no time zones in its columns


@define(eq=False)
class OriginalPlace:
    connection: psycopg.Connection[Any]
    now: datetime = BEGAN
    profiles: dict[str, UUID] = field(factory=dict)
    accounts: dict[str, UUID] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.connection.autocommit = True
        self.connection.execute("SET TimeZone = 'UTC'")
        self.connection.execute(TABLES)

    def tick(self) -> datetime:
        self.now += timedelta(minutes=1)
        return self.now

    def person(self, name: str, *, confirmed: bool = True, email: str = "", **columns: Any) -> UUID:
        account_id, profile_id = uuid4(), uuid4()
        self.connection.execute(
            "INSERT INTO account (id, created_at, email, password, is_confirmed) VALUES (%s, %s, %s, %s, %s)",
            (account_id, self.tick(), email or f"{name.lower()}@example.com", HASH, confirmed),
        )
        known = {"first_name": name, "username": name.lower(), **columns}
        self.connection.execute(
            "INSERT INTO profile (id, account_id, first_name, last_name, username) VALUES (%s, %s, %s, %s, %s)",
            (profile_id, account_id, known["first_name"], known.get("last_name"), known["username"]),
        )
        if phone := known.get("phone"):
            self.connection.execute(
                "INSERT INTO profile_personal_data (profile_id, phone) VALUES (%s, %s)", (profile_id, phone)
            )
        self.accounts[name], self.profiles[name] = account_id, profile_id
        return profile_id

    def chat(self, name: str, owner: str, *members: str) -> UUID:
        chat_id = uuid4()
        self.connection.execute(
            "INSERT INTO chat (id, created_at, name, owner_id) VALUES (%s, %s, %s, %s)",
            (chat_id, self.tick(), name, self.profiles[owner]),
        )
        for member in members:
            self.join(chat_id, member)
        return chat_id

    def join(self, chat_id: UUID, name: str) -> None:
        self.connection.execute(
            "INSERT INTO chat_user (chat_id, profile_id, created_at) VALUES (%s, %s, %s)",
            (chat_id, self.profiles[name], self.now),
        )

    def say(self, chat_id: UUID | None, name: str | None, text: str) -> UUID:
        message_id = uuid4()
        self.connection.execute(
            "INSERT INTO message (id, created_at, chat_id, text, sender_id, sent_at) VALUES (%s, %s, %s, %s, %s, %s)",
            (message_id, BEGAN, chat_id, text, self.profiles[name] if name else None, self.tick()),
        )
        return message_id

    def read(self, name: str, *message_ids: UUID) -> datetime:
        at = self.tick()
        for message_id in message_ids:
            self.connection.execute(
                "INSERT INTO message_read_status (message_id, profile_id, read_at) VALUES (%s, %s, %s)",
                (message_id, self.profiles[name], at),
            )
        return at
