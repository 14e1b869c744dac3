"""From the row to the mail server and back, by processes that die, servers that cut off, and several workers at once."""

import asyncio
import email
import email.policy
import os
import sys
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest
from attrs import evolve, frozen

from application.accounts.confirm_email import ConfirmEmail
from application.errors import NotAuthenticated
from application.notifications.deliver import DeliverDueLettersHandler
from domain.session import Fingerprint
from infrastructure.postgres.driver.engine import make_engine
from infrastructure.postgres.driver.reads import ReadPool
from infrastructure.postgres.storage import PostgresStorage
from infrastructure.postgres.views import PostgresViews
from infrastructure.system.clock import SystemClock
from tests.accounts_world import AccountsWorld, SettableClock, accounts_world, token_of
from tests.infrastructure.smtp.sink import Sink
from tests.infrastructure.smtp.worker import LEASE, TOKENS, mailer_to
from tests.storages import memory_storage

ROOT = Path(__file__).resolve().parents[3]


@frozen
class Post:
    """An office with one mail server and any number of workers, over one database."""

    people: AccountsWorld
    sink: Sink
    url: str

    def worker(self, clock: SystemClock | SettableClock) -> DeliverDueLettersHandler:
        return DeliverDueLettersHandler(
            begin=self.people.begin,
            clock=clock,
            mailer=mailer_to(self.sink.port),
            tokens=TOKENS,
            lease=LEASE,
        )

    async def killed_when(self, moment: str) -> None:
        """A worker in a process of its own, killed by `kill -9` at this moment."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.infrastructure.smtp.worker",
            self.url,
            str(self.sink.port),
            moment,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        async with asyncio.timeout(60):
            assert (await process.stdout.readline()).decode().strip() == moment
            process.kill()
            await process.wait()

    def tokens(self) -> list[str]:
        found = []
        for envelope in self.sink.mails:
            assert isinstance(envelope.content, bytes)
            message = email.message_from_bytes(envelope.content, policy=email.policy.default)
            assert isinstance(message, EmailMessage)
            body = message.get_body(("plain",))
            assert body is not None
            (link,) = {line for line in body.get_content().splitlines() if line.startswith("https://")}
            found.append(token_of(link))
        return found


@pytest.fixture
async def post(messenger_database: str, sink: Sink, tmp_path: Path) -> AsyncIterator[Post]:
    engine = make_engine(messenger_database, size=10, wait=10, deadline=10)
    reads = ReadPool(messenger_database)
    storage = evolve(memory_storage(), begin=PostgresStorage(engine, 10).begin, views=PostgresViews(reads))
    async with accounts_world(storage, tmp_path / "mail") as people:
        people.clock.at = SystemClock().now()
        yield Post(people, sink, messenger_database)
    await reads.close()
    await engine.dispose()


def later(by: timedelta) -> SettableClock:
    return SettableClock(SystemClock().now() + by)


@pytest.mark.parametrize(("moment", "copies"), [("claimed", 1), ("handed over", 2)])
async def test_a_process_that_is_killed_never_loses_a_letter(post: Post, moment: str, copies: int) -> None:
    await post.people.sign_up_as("new@example.com")
    await post.killed_when(moment)
    await post.worker(SystemClock())()
    assert len(post.sink.mails) == copies - 1, "the dead one's claim holds"
    for _ in range(3):
        await post.worker(later(timedelta(minutes=5)))()
    assert len(post.sink.mails) == copies
    (token,) = set(post.tokens())
    confirm = post.people.accounts_over(evolve(post.people.ports, tokens=TOKENS)).confirm_email
    command = ConfirmEmail(token=token, fingerprint=Fingerprint("first"))
    await confirm(command)
    with pytest.raises(NotAuthenticated):
        await confirm(command)


async def test_of_many_workers_one_sends_each(post: Post) -> None:
    addresses = {f"person{number}@example.com" for number in range(12)}
    for address in addresses:
        await post.people.sign_up_as(address)
    workers = [post.worker(later(timedelta(seconds=1))) for _ in range(6)]
    while any(await asyncio.gather(*(worker() for worker in workers))):
        pass
    assert sorted(envelope.rcpt_tos[0] for envelope in post.sink.mails) == sorted(addresses)


async def test_a_lost_answer_is_a_letter_twice_and_a_token_once(post: Post) -> None:
    async def hang_up() -> str:
        post.sink.hang_up()
        return "250 OK"

    await post.people.sign_up_as("new@example.com")
    post.sink.answers["DATA"] = hang_up
    await post.worker(later(timedelta(seconds=1)))()
    del post.sink.answers["DATA"]
    await post.worker(later(timedelta(seconds=30)))()
    assert len(post.sink.mails) == 2
    assert len(set(post.tokens())) == 1


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
async def test_a_server_that_is_busy_gets_it_when_it_is_not(post: Post, command: str) -> None:
    async def busy() -> str:
        return "451 later"

    await post.people.sign_up_as("new@example.com")
    post.sink.answers[command] = busy
    for minutes in range(3):
        await post.worker(later(timedelta(minutes=minutes, seconds=1)))()
    assert post.sink.mails == []
    del post.sink.answers[command]
    await post.worker(later(timedelta(minutes=30)))()
    assert len(post.sink.mails) == 1


async def test_what_happened_is_logged_and_no_token_with_it(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    answers: list[Callable[[], str]] = [lambda: "451 later", lambda: "250 OK"]

    async def answer() -> str:
        return answers.pop(0)()

    caplog.set_level("INFO")
    await post.people.sign_up_as("new@example.com")
    post.sink.answers["DATA"] = answer
    await post.worker(later(timedelta(seconds=1)))()
    await post.worker(later(timedelta(minutes=5)))()
    told = [record.getMessage() for record in caplog.records if record.name == "infrastructure.smtp.mailer"]
    first, second = told
    assert "attempt 1: letter refused: 451 later, to be tried again" in first
    assert "attempt 2: sent" in second
    assert all(part not in caplog.text for part in (*post.tokens(), "token="))
