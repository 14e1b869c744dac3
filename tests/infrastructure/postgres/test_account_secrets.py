"""Neither the database nor the log contains anything that could be used to sign in."""

import logging
from pathlib import Path

import pytest
from sqlalchemy import create_engine, select

from application.errors import NotAuthenticated
from infrastructure.postgres.schema.base import metadata
from tests.accounts_world import PASSWORD, accounts_world, letters_in
from tests.storages import postgres_storage


def everything_in(url: str) -> str:
    engine = create_engine(url)
    with engine.connect() as connection:
        rows = [row for table in metadata.sorted_tables for row in connection.execute(select(table))]
    engine.dispose()
    return repr(rows)


async def test_no_token_and_no_password_is_stored_or_logged(
    messenger_database: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with (
        postgres_storage(messenger_database) as storage,
        accounts_world(storage, tmp_path) as people,
    ):
        await people.sign_up_as("one@example.com")
        before = everything_in(messenger_database)
        assert "one@example.com" in before
        confirmation = await people.mailed_token()
        assert len(letters_in(tmp_path)) == 1
        first = await people.confirm(confirmation)
        second = await people.refresh_with(first.refresh_token)
        with pytest.raises(NotAuthenticated):
            await people.sign_in_as("one@example.com", "Wrong-Horse")
        after = everything_in(messenger_database)
    secrets = [PASSWORD, "Wrong-Horse", confirmation]
    secrets += [token for pair in (first, second) for token in (pair.access_token, pair.refresh_token)]
    for secret in secrets:
        # Of a token, its signature is what cannot be made up.
        for part in (secret, secret.rpartition(".")[2]):
            assert part not in before + after
            assert part not in caplog.text
