"""
Runs every statement of the PostgreSQL adapter at least once (`run_everything`), on a database that a test has filled.

A test checks that none is missing: each line with an ``await`` in the adapter's modules must run.
"""

import ast
import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any
from uuid import uuid4

import pytest
from attrs import evolve, frozen

from application.paging import EventPlace, MemberPlace, Paging
from application.ports.changes import Cursor, ReadRange
from application.ports.keys import KeyOwner, KeyUse, Operation
from application.ports.marking import MarkRequest
from application.ports.own_changes import Lost, Missed
from application.ports.posting import BeginPosting, Draft, Slots
from application.ports.views import After, LogSpan, Newest, PageAsked
from config.ports import Storage
from domain.account import EmailTaken
from domain.catalogue import Catalogue, Entry
from domain.chat import About, Chat
from domain.chat_errors import ChatNotFound, NotAMember
from domain.events import SessionEnd, SessionEnded
from domain.factor import SealedSecret, SecondFactor
from domain.identity import Identity, Subject
from domain.ids import (
    ChatId,
    EventId,
    IdentityId,
    LetterId,
    MessageId,
    PasskeyId,
    Position,
    ProfileId,
    Seq,
    SessionId,
)
from domain.message import Body, Nonce
from domain.notification import Letter
from domain.passkey import Passkey, PasskeyName
from domain.profile import Name, Profile, Username, UsernameTaken
from domain.reading import NewlyRead
from domain.role import Role
from domain.security import AccountEvent, SecurityAct
from domain.session import Fingerprint, Origin
from infrastructure import postgres
from infrastructure.postgres import own_changes
from infrastructure.postgres.remembered import PROOFS
from infrastructure.postgres.replica import Replica
from infrastructure.postgres.views import PostgresViews
from tests.contracts.test_accounts import account, confirmation, session
from tests.strategies import START

FOLDER = Path(postgres.__file__).parent

MODULES = sorted(
    path
    for path in FOLDER.glob("*.py")
    if path.name not in {"__init__.py", "replica.py", "time.py", "updates.py"}
)
"""
Reads, the write path and workers. Asking the server's clock, notifying other processes and asking a replica how far it is look at no
table. What operators run by hand,
in ``schema`` and ``server``, looks at everything.
"""

NOT_A_STATEMENT = {"close", "commit", "renew", "adopt", "_adopted", "now"}
"""What is awaited beside statements, and what happens once after a restore (which looks at everything, and then at `now`)."""

SLOTS = Slots(timedelta(seconds=1))

LATER = START + timedelta(days=4000)


@frozen
class Filled:
    """What the database contains."""

    chat: ChatId
    """The huge chat, owned by `owner`."""
    owner: ProfileId
    """The author of nearly all its messages."""
    reader: ProfileId
    """A member of the huge chat who has read most of it."""
    messages: int
    message: MessageId
    """A message in the middle of the huge chat."""
    person: ProfileId
    other: ProfileId
    """Two people without chats."""


async def run_everything(storage: Storage, filled: Filled) -> None:
    before = await storage.changes.now()
    await _posting(storage, filled)
    await _marking(storage, filled)
    await _chats(storage, filled)
    await _readings(storage, filled)
    await _views(storage, filled)
    await _changes(storage, filled, before)
    await _accounts(storage, filled)
    await _profiles(storage, filled)
    await _catalogues(storage)
    while await storage.deleted_chats.purge_some(deleted_before=LATER, at=LATER, rows=40):
        pass


async def _posting(storage: Storage, filled: Filled) -> None:
    for begin in (storage.begin_posting, storage.begin_patient_posting):
        for nonce in (Nonce(str(uuid4())), None):
            draft = await _post(begin, filled, nonce)
            async with begin() as work:
                again = await work.open([evolve(draft, id=MessageId(uuid4()))], SLOTS)
                assert again.said if nonce else again.just_said
    for _ in range(PROOFS + 2):  # then the chat is remembered
        await _post(storage.begin_posting, filled, Nonce(str(uuid4())))


async def _post(begin: BeginPosting, filled: Filled, nonce: Nonce | None) -> Draft:
    draft = Draft(
        chat_id=filled.chat,
        author_id=filled.owner,
        id=MessageId(uuid4()),
        body=Body(f"Hello {uuid4()}"),
        nonce=nonce,
        at=LATER,
    )
    async with begin() as work:
        found = await work.open([draft], SLOTS)
        chat = found.chats[filled.chat]
        author = found.authors[filled.chat, filled.owner]
        sent = chat.post(author, draft.body, id=draft.id, nonce=nonce, at=draft.at)
        await work.keep([chat], [sent])
    return draft


async def _marking(storage: Storage, filled: Filled) -> None:
    async with storage.begin_marking() as work:
        standings = await work.open(
            [
                MarkRequest(chat_id=filled.chat, reader_id=filled.reader, up_to=filled.message),
                MarkRequest(chat_id=filled.chat, reader_id=filled.reader, up_to=Seq(filled.messages)),
            ]
        )
        ((_, reading),) = standings.readings.items()
        (passed,) = await work.newly_read([(reading, Seq(reading.mark + 20))])
        read = reading.advance(Seq(reading.mark + 20), passed, at=LATER)
        await work.keep([(reading, read)])


async def _chats(storage: Storage, filled: Filled) -> None:
    new = ChatId(uuid4())
    chat, opened = Chat.open(
        id=new, about=About("New"), owner_id=filled.person, others=[filled.other], at=LATER
    )
    async with storage.begin() as work:
        assert await work.chats.add(chat, opened)
    async with storage.begin() as work:
        assert not await work.chats.add(chat, opened)
    with suppress(ChatNotFound):
        async with storage.begin() as work:
            await work.chats.lock(ChatId(uuid4()))
    async with storage.begin() as work:
        chat = await work.chats.lock(new)
        by = await work.chats.find_member(new, filled.person)
        them = await work.chats.find_member(new, filled.other)
        decision = chat.change(by, About("Newer"), at=LATER) + chat.appoint(by, them, Role.ADMIN, at=LATER)
        await work.chats.keep(chat, decision + chat.add(by, [filled.reader], at=LATER))
    async with storage.begin() as work:
        chat = await work.chats.lock(new)
        assert len(await work.chats.members(new)) == 3
        by = await work.chats.find_member(new, filled.person)
        await work.chats.keep(
            chat, chat.remove(by, await work.chats.find_member(new, filled.reader), at=LATER)
        )
        assert await work.chats.of(filled.person) == [new]
        assert await work.chats.those_in([filled.person, filled.reader], 1) == {filled.person, filled.reader}
        assert await work.chats.acquainted(filled.person, [filled.other, filled.reader]) == {filled.other}
    async with storage.begin() as work:  # and to the huge one somebody comes
        chat = await work.chats.lock(filled.chat)
        owner = await work.chats.find_member(filled.chat, filled.owner)
        await work.chats.members(filled.chat)
        await work.chats.keep(chat, chat.add(owner, [filled.person], at=LATER))
    direct = ChatId(uuid4())
    async with storage.begin() as work:
        assert await work.chats.claim_direct(filled.person, filled.other, direct) == direct
        assert await work.chats.claim_direct(filled.other, filled.person, ChatId(uuid4())) == direct
        two, opened = Chat.open_direct(id=direct, opener_id=filled.person, other_id=filled.other, at=LATER)
        await work.chats.add(two, opened)
    assert len(await storage.views.list_chats(filled.person)) == 3
    async with storage.begin() as work:
        for gone in (new, direct):
            chat = await work.chats.lock(gone)
            by = await work.chats.find_member(gone, filled.person)
            ended = chat.delete(by, await work.chats.members(gone), at=LATER - timedelta(days=1))
            await work.chats.keep(chat, ended)


async def _readings(storage: Storage, filled: Filled) -> None:
    async with storage.begin() as work:
        assert await work.readings.lock(filled.chat, ProfileId(uuid4())) is None
        reading = await work.readings.lock(filled.chat, filled.reader)
        assert reading is not None
        assert await work.readings.find_message(filled.chat, filled.message) is not None
        seq = Seq(filled.messages)
        await work.readings.is_covered(reading, seq)
        read = reading.advance(
            Seq(reading.mark + 2),
            NewlyRead(message_ids=(filled.message,), by_author={filled.owner: 1}),
            at=LATER,
        )
        await work.readings.save(reading, read)
        later = Seq(reading.mark + 2)
        singly = reading.read_single(later, filled.message, filled.owner, is_covered=False, at=LATER)
        assert singly is not None
        await work.readings.save(reading, singly)


async def _views(storage: Storage, filled: Filled) -> None:
    views, chat, reader = storage.views, filled.chat, filled.reader
    small: Paging[Any] = Paging(limit=2)
    for who in (filled.owner, reader, filled.person):
        await views.list_chats(who)
        page = await views.page_of_chats(who, Paging(limit=1))
        if page.next:
            await views.page_of_chats(who, Paging(limit=1, after=page.next))
        await views.get_chat(who, chat)
        await views.check_member(who, chat)
        await views.contacts(who, [filled.owner, reader, filled.person, filled.other])
        await views.unread_count(who, chat)
        for limit in (0, 50):
            await views.snapshot(who, chat, limit)
    for unknown in (chat, ChatId(uuid4())):
        with suppress(NotAMember, ChatNotFound):
            await views.get_chat(filled.other, unknown)
    for where in (Newest(), After(Seq(0)), After(Seq(filled.messages // 2))):
        version = (await views.history(reader, chat, where, 50)).version
        await views.history_unless_known(reader, chat, where, 50, [version])
        for known in ([], [version]):
            asked = PageAsked(chat_id=chat, where=where, limit=50, known=known)
            await views.session_and_history(account().id, SessionId(uuid4()), reader, asked)
    assert isinstance(views, PostgresViews)
    beside_a_replica = evolve(views, replica=Replica(views.pool))  # it is none, so that both ways are taken
    await beside_a_replica.history(reader, chat, Newest(), 50)
    newest = PageAsked(chat_id=chat, where=Newest(), limit=50)
    await beside_a_replica.session_and_history(account().id, SessionId(uuid4()), reader, newest)
    await views.members(reader, chat)
    members = await views.page_of_members(reader, chat, small)
    assert isinstance(members.next, MemberPlace)
    await views.page_of_members(reader, chat, Paging(limit=2, after=members.next, skip=1))
    await views.page_of_members(reader, chat, Paging(limit=2, skip=1))
    await views.readers(reader, chat, filled.message)
    readers = await views.page_of_readers(reader, chat, filled.message, small)
    await views.page_of_readers(reader, chat, filled.message, Paging(limit=2, after=readers.next))
    await views.log(chat, Position(filled.messages - 60), 50)
    await views.logs([LogSpan(chat, Position(filled.messages - 60), Position(filled.messages - 10))])
    assert await views.some_chats(reader, [chat])
    assert not await views.some_chats(reader, [])
    await views.live_session(account().id, SessionId(uuid4()))
    # the first two are read alone, and the others together
    await asyncio.gather(*(views.live_session(account().id, SessionId(uuid4())) for _ in range(5)))
    await views.probe()


async def _changes(storage: Storage, filled: Filled, before: Cursor) -> None:
    cursor = await storage.changes.now()
    news = await storage.changes.since(before)
    assert len(news.moved) > 1
    assert len(news.personal) > 1
    assert len(news.read) > 1
    await storage.changes.since(evolve(cursor, epoch="another"))
    middle = filled.messages // 2
    read = ReadRange(
        chat_id=filled.chat, reader_id=filled.reader, from_seq=Seq(middle), to_seq=Seq(middle + 20), at=LATER
    )
    await storage.changes.recall(read)
    own = storage.own_changes
    here = await own.here()
    await asyncio.gather(*(own.chats_of(who) for who in (filled.owner, filled.reader, filled.person)))
    for who in (filled.owner, filled.reader, filled.person):
        for place in (before, here):
            assert isinstance(await own.since(who, place), Missed)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(own_changes, "FEW_PERSONAL", 0)  # so that people with entries are read alone
            assert isinstance(await own.since(who, before), Missed)
    assert await own.since(filled.reader, evolve(here, epoch="another")) is Lost.EPOCH
    assert await own.since(filled.reader, evolve(here, place="?")) is Lost.MALFORMED


async def _accounts(storage: Storage, filled: Filled) -> None:
    one = account(f"{uuid4()}@example.com")
    phone, asked = session(one.id, "phone"), confirmation(one.id)
    letter = Letter.confirming(asked, id=LetterId(uuid4()), at=START)
    async with storage.begin() as work:
        await work.accounts.add(one)
        await work.sessions.add(phone)
        assert await work.confirmations.add(asked)
        assert not await work.confirmations.add(asked)
        await work.letters.add(letter)
    with suppress(EmailTaken):
        async with storage.begin() as work:
            await work.accounts.add(evolve(account(), email=one.email))
    async with storage.begin() as work:
        assert await work.accounts.find_by_email(one.email) is not None
        await work.accounts.page("", 20)
        locked = await work.accounts.lock(one.id)
        await work.confirmations.find(one.id, asked.id)
        factor = SecondFactor(account_id=one.id, secret=SealedSecret("sealed"), begun_at=START)
        await work.factors.save(factor)
        await work.factors.save(factor)
        assert await work.factors.find(one.id) is not None
        await work.factors.remove(one.id)
        identity = Identity(
            id=IdentityId(uuid4()),
            account_id=one.id,
            subject=Subject("https://accounts.example", "1"),
            linked_at=START,
        )
        await work.identities.add(identity)
        identity.use("one@accounts.example", at=START)
        await work.identities.save(identity)
        assert await work.identities.find_account(identity.subject) == one.id
        assert len(await work.identities.of(one.id)) == 1
        await work.identities.remove(identity)
        passkey = Passkey(
            id=PasskeyId(uuid4()),
            account_id=one.id,
            credential_id="AAEC",
            public_key=b"key",
            name=PasskeyName("My phone"),
            created_at=START,
        )
        await work.passkeys.save(passkey)
        await work.passkeys.save(passkey)
        assert len(await work.passkeys.of(one.id)) == 1
        await work.passkeys.remove(passkey)
        await work.sessions.lock(one.id, phone.id)
        await work.sessions.lock_live(one.id, phone.fingerprint)
        await work.sessions.save(phone)
        await work.sessions.not_ended(one.id)
        await work.sessions.lock_not_ended(one.id)
        await work.sessions.lock_expired(LATER, 20)
        assert not await work.sessions.lock_oldest(one.id, keep=1)
        for device in ("phone", ""):
            await work.sessions.is_new_device(
                one.id, Fingerprint(device), Origin(user_agent="x", address="y")
            )
        await work.sessions.page_of_live(one.id, START, Paging(limit=1))
        failed, event = [
            AccountEvent(id=EventId(uuid4()), account_id=one.id, act=act, at=START, origin=Origin())
            for act in (SecurityAct.SIGN_IN_FAILED, SecurityAct.SIGNED_IN)
        ]
        for each in (failed, event):
            await work.events.add(each, keep=20)
        await work.events.page(one.id, Paging(limit=1, after=EventPlace(at=START, id=event.id)))
        await work.events.remove_older(START - timedelta(days=3000))
        owner = KeyOwner(one.id)
        use = KeyUse(operation=Operation.SIGN_UP, digest=uuid4(), subject_id=uuid4(), used_at=START)
        assert await work.keys.claim(owner, Nonce("key"), use) is None
        assert await work.keys.claim(owner, Nonce("key"), use) == use
        await work.keys.forget(owner)
        await work.keys.remove_expired(START)
        await work.letters.lock_due(LATER, 20)
        await work.letters.lock(one.id, letter.id)
        await work.letters.save(letter)
        await work.accounts.former_hash()
        await work.sessions.knows_device(one.id, phone.fingerprint)
        await work.confirmations.void_resets(one.id)
        await work.confirmations.void_all(one.id)
        await work.confirmations.remove_expired(START - timedelta(days=3000))
        await work.sessions.remove_ended(START - timedelta(days=3000))
        await work.letters.remove_settled(START - timedelta(days=3000))
        locked.closed_at = LATER
        await work.accounts.save(locked)
        await work.accounts.release_email(locked)
        await work.accounts.closed(20)
        await work.accounts.remove(one.id)


async def _profiles(storage: Storage, filled: Filled) -> None:
    name = f"u{uuid4().hex[:20]}"
    one = Profile(
        id=ProfileId(uuid4()), account_id=account().id, first_name=Name("Ann"), username=Username(name)
    )
    other = Profile(id=ProfileId(uuid4()), account_id=account().id)
    async with storage.begin() as work:
        for new in (one, other):
            await work.profiles.add(evolve(new, username=None))
        assert await work.profiles.find_by_account(one.account_id) == one.id
        await work.profiles.save(one)
        assert await work.profiles.find(one.id) is not None
        assert await work.profiles.missing([one.id, other.id]) == []
        assert len(await work.profiles.views([one.id, other.id])) == 2
    with suppress(UsernameTaken):
        async with storage.begin() as work:
            await work.profiles.save(evolve(other, username=Username(name)))
    async with storage.begin() as work:
        found = await work.profiles.search("person", 10)
        await work.profiles.search("person", 10, found.next)
        await work.profiles.search(name, 10)
        locked = await work.profiles.lock(one.id)
        locked.username = Username(f"{name}x")
        await work.profiles.save(locked)
        await work.profiles.remove(locked)
        await work.personal.add(
            [
                SessionEnded(
                    profile_id=filled.owner,
                    session_id=SessionId(uuid4()),
                    reason=SessionEnd.SIGNED_OUT,
                    at=LATER,
                )
            ]
        )


async def _catalogues(storage: Storage) -> None:
    one = Catalogue(name="colours", title="Colours", entries=(Entry(key="red", value="Red"),))
    await storage.catalogues.keep([one])
    await storage.catalogues.headings()
    assert await storage.catalogues.get("colours") == one


Line = tuple[str, int]


@contextmanager
def recording(files: list[Path]) -> Iterator[set[Line]]:
    """The lines of these files that run in the block."""
    names, ran = {str(file) for file in files}, set[Line]()

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename not in names:
            return None
        if event == "line":
            ran.add((frame.f_code.co_filename, frame.f_lineno))
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield ran
    finally:
        sys.settrace(before)


def awaits(file: Path, source: str | None = None) -> Iterator[tuple[Line, range]]:
    """Where a file awaits something that may be a statement, and the lines that each takes."""
    for node in ast.walk(ast.parse(source or file.read_text())):
        if isinstance(node, ast.Await) and _name(node.value) not in NOT_A_STATEMENT:
            assert node.end_lineno is not None
            yield (file.name, node.lineno), range(node.lineno, node.end_lineno + 1)


def _name(call: ast.expr) -> str | None:
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
        return call.func.attr
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
        return call.func.id
    return None


def not_run(ran: set[Line], files: list[Path]) -> list[Line]:
    return [
        place
        for file in files
        for place, lines in awaits(file)
        if not any((str(file), line) in ran for line in lines)
    ]
