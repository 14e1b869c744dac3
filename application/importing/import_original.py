"""Imports the accounts, profiles, chats, messages and read marks of the original messenger."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final, TypeVar
from uuid import NAMESPACE_OID, UUID, uuid5

from attrs import evolve, frozen

from application.importing.imported import Imported
from application.importing.reading import Run, Said, runs
from application.keys import digest
from application.ports.keys import KeyOwner, KeyUse, Operation
from application.ports.marking import BeginMarking, MarkRequest
from application.ports.original import Original, OriginalChat, OriginalMessage, OriginalPerson
from application.ports.posting import BeginPosting, Draft
from application.ports.storage import Begin, UnitOfWork
from domain.account import Account, Email, EmailIncorrect, EmailTaken, PasswordHash
from domain.chat import DESCRIPTION_LIMIT, NAME_LIMIT, About, Chat
from domain.chat_errors import BadChatName, ChatNotFound
from domain.errors import DomainError
from domain.ids import ChatId, MessageId, ProfileId, Seq
from domain.member import Member
from domain.message import BODY_LIMIT, Body, EmptyBody, Nonce
from domain.profile import Name, Phone, Profile, Username, UsernameTaken
from domain.role import Role

V = TypeVar("V")

OWNER: Final = KeyOwner(uuid5(NAMESPACE_OID, "import of the original messenger"))
"""Owns one key per imported account, so that an account that was closed since is not imported again."""

NOBODY: Final = ProfileId(UUID(int=0))
"""The author of messages whose account the original has deleted."""

UNNAMED: Final = "Без названия / Untitled"

AT_ONCE: Final = 500
"""Messages in one transaction."""


@frozen(kw_only=True)
class ImportOriginalHandler:
    """
    Imports everything from a database of the original messenger. Ids stay the same, so that importing again adds only what
    is new there and completes an import that was interrupted.

    Passwords stay valid. Sessions are not imported, so everybody has to sign in again.
    """

    begin: Begin
    begin_posting: BeginPosting
    """Must wait for chats that others hold."""
    begin_marking: BeginMarking

    async def __call__(self, original: Original, progress: Callable[[int, int], None]) -> Imported:
        imported = Imported()
        totals, done = await original.totals(), 0
        progress(done, totals.all)
        async for person in original.people():
            imported.people += await self._person(person, imported.notes)
            progress(done := done + 1, totals.all)
        async for chat in original.chats():
            is_here = await self._chat(chat, imported)
            said: list[Said] = []
            async for batch in original.messages(chat.id, AT_ONCE):
                if is_here:
                    said += await self._messages(chat.id, batch, imported)
                progress(done := done + len(batch), totals.all)
            if is_here:
                for reader_id in {*chat.joined_at, chat.owner_id}:
                    read = await original.read_by(chat.id, reader_id)
                    imported.marks += await self._marks(chat.id, reader_id, said, read)
            progress(done := done + 1, totals.all)
        return imported

    async def _person(self, person: OriginalPerson, notes: list[str]) -> bool:
        """Returns False if the person was imported before."""
        try:
            return await self._add(person, notes)
        except UsernameTaken:
            notes.append(f"account {person.account_id}: the username {person.username!r} is taken")
            return await self._person(evolve(person, username=None), notes)
        except EmailTaken:
            notes.append(
                f"account {person.account_id}: the address {person.email} is taken, nobody can sign in"
            )
        except EmailIncorrect:
            notes.append(
                f"account {person.account_id}: no mail can be sent to {person.email!r}, nobody can sign in"
            )
        return await self._person(evolve(person, email=""), notes)

    async def _add(self, person: OriginalPerson, notes: list[str]) -> bool:
        use = KeyUse(
            operation=Operation.IMPORT,
            digest=digest(),
            subject_id=person.account_id,
            used_at=person.created_at,
        )
        async with self.begin() as work:
            if await work.keys.claim(OWNER, Nonce(str(person.account_id)), use):
                return False
            if person.email:
                await work.accounts.add(_account(person))
            found: list[str] = []
            profile = Profile(
                id=person.profile_id or ProfileId(uuid5(person.account_id, "profile")),
                account_id=person.account_id,
                first_name=_kept(Name, person.first_name, found),
                last_name=_kept(Name, person.last_name, found),
                middle_name=_kept(Name, person.middle_name, found),
                phone=_kept(Phone, person.phone, found),
            )
            username = _kept(Username, person.username, found)
            await work.profiles.add(profile)
            if username:
                profile = await work.profiles.lock(profile.id)
                profile.edit(username=username)
                await work.profiles.save(profile)
        notes += [f"account {person.account_id}: {value!r} cannot be kept" for value in found]
        return True

    async def _chat(self, old: OriginalChat, imported: Imported) -> bool:
        """Returns False if the chat was deleted after it was imported."""
        async with self.begin() as work:
            try:
                chat = await work.chats.lock(old.id)
            except ChatNotFound:
                await _open(work, old, imported.notes)
                imported.chats += 1
                return True
            if chat.deleted_at is not None:
                return False
            await _add_members(work, chat, old)
        return True

    async def _messages(
        self, chat_id: ChatId, batch: Sequence[OriginalMessage], imported: Imported
    ) -> list[Said]:
        """Posts the messages of a batch that are not stored yet, and returns the numbers of all of them."""
        drafts = [draft for message in batch for draft in _drafts(chat_id, message, imported.notes)]
        here = await self._here(chat_id, drafts)
        new = [draft for draft in drafts if draft.id not in here]
        if new:
            async with self.begin_posting() as posting:
                opened = await posting.open(new, None)
                chat = opened.chats[chat_id]
                posted = [
                    chat.post(
                        _author(draft, opened.authors.get((chat_id, draft.author_id))),
                        draft.body,
                        id=draft.id,
                        nonce=None,
                        at=draft.at,
                    )
                    for draft in new
                ]
                await posting.keep([chat], posted)
            here |= {event.message.id: event.message.seq for event in posted}
            imported.messages += len(posted)
        return [Said(seq=here[draft.id], id=draft.id, author_id=draft.author_id) for draft in drafts]

    async def _here(self, chat_id: ChatId, drafts: Sequence[Draft]) -> dict[MessageId, Seq]:
        """
        Returns the numbers of the drafts that were imported before. A batch is posted as a whole, so looking up its first
        and last message is nearly always enough.
        """
        if not drafts:
            return {}
        async with self.begin() as work:
            first = await work.readings.find_message(chat_id, drafts[0].id)
            last = await work.readings.find_message(chat_id, drafts[-1].id)
            if first is None and last is None:
                return {}
            if first and last and last[0] - first[0] == len(drafts) - 1:
                return {draft.id: Seq(first[0] + index) for index, draft in enumerate(drafts)}
            found = {draft.id: await work.readings.find_message(chat_id, draft.id) for draft in drafts}
        return {id: place[0] for id, place in found.items() if place}

    async def _marks(
        self, chat_id: ChatId, reader_id: ProfileId, said: Sequence[Said], read: Mapping[MessageId, datetime]
    ) -> int:
        """Marks messages as read at the original times, and returns how many acts of reading that took."""
        in_a_row, singly = runs(said, read, reader_id)
        count = 0
        for run in in_a_row:
            count += await self._advance(chat_id, reader_id, run)
        for start in range(0, len(singly), AT_ONCE):
            async with self.begin() as work:
                reading = await work.readings.lock(chat_id, reader_id)
                if reading is None:
                    return count
                for one in singly[start : start + AT_ONCE]:
                    marked = reading.read_single(
                        one.seq,
                        one.id,
                        one.author_id,
                        is_covered=await work.readings.is_covered(reading, one.seq),
                        at=read[one.id],
                    )
                    if marked:
                        await work.readings.save(reading, marked)
                        count += 1
        return count

    async def _advance(self, chat_id: ChatId, reader_id: ProfileId, run: Run) -> int:
        async with self.begin_marking() as marking:
            opened = await marking.open([MarkRequest(chat_id=chat_id, reader_id=reader_id, up_to=run.to)])
            reading = opened.readings.get((chat_id, reader_id))
            if reading is None or reading.mark >= run.to:
                return 0
            (passed,) = await marking.newly_read([(reading, run.to)])
            await marking.keep([(reading, marked := reading.advance(run.to, passed, at=run.at))])
        return int(marked is not None)


def _account(person: OriginalPerson) -> Account:
    account = Account(id=person.account_id, email=Email(person.email), created_at=person.created_at)
    if person.is_confirmed:  # otherwise a new sign-up confirms it and chooses the password
        account.vouch(PasswordHash(person.password_hash), at=person.created_at)
    return account


def _kept(kind: Callable[[str], V], text: str | None, unfit: list[str]) -> V | None:
    """The value, or None if it is empty or the rules refuse it. A refused value is added to ``unfit``."""
    if text is None or not text.strip():
        return None
    try:
        return kind(text)
    except DomainError:
        unfit.append(text)
        return None


async def _open(work: UnitOfWork, old: OriginalChat, notes: list[str]) -> None:
    description = old.description[:DESCRIPTION_LIMIT] if old.description else None
    try:
        about = About(old.name[:NAME_LIMIT], description)
    except BadChatName:
        notes.append(f"chat {old.id}: the name {old.name!r} cannot be kept")
        about = About(UNNAMED, description)
    chat, opened = Chat.open(
        id=old.id,
        about=about,
        owner_id=old.owner_id,
        others=sorted(old.joined_at),
        at=old.created_at,
    )
    for member in opened.joined:
        member.joined_at = old.joined_at.get(member.profile_id, old.created_at)
    await work.chats.add(chat, opened)


async def _add_members(work: UnitOfWork, chat: Chat, old: OriginalChat) -> None:
    """Adds people who joined in the original since. Members who left after the import stay out."""
    new = [id for id in sorted(old.joined_at) if await work.chats.find_member(chat.id, id) is None]
    missing = set(await work.profiles.missing(new))
    owner = await work.chats.find_member(chat.id, chat.owner_id)
    if joining := [id for id in new if id not in missing]:
        at = max(old.joined_at[id] for id in joining)
        await work.chats.keep(chat, chat.add(owner, joining, at=at))


def _drafts(chat_id: ChatId, message: OriginalMessage, notes: list[str]) -> list[Draft]:
    """The drafts for a message: usually one. Texts that are too long to be sent become several messages."""
    text = message.text.strip()
    parts = [text[start : start + BODY_LIMIT] for start in range(0, len(text), BODY_LIMIT)]
    bodies = []
    for part in parts:
        try:
            bodies.append(Body(part))
        except EmptyBody:
            continue
    if not bodies:
        notes.append(f"message {message.id}: shows nothing")
    if len(bodies) > 1:
        notes.append(f"message {message.id}: too long for one, became {len(bodies)}")
    return [
        Draft(
            chat_id=chat_id,
            author_id=message.author_id or NOBODY,
            id=MessageId(uuid5(message.id, str(number))) if number else message.id,
            body=body,
            nonce=None,
            at=message.sent_at,
        )
        for number, body in enumerate(bodies)
    ]


def _author(draft: Draft, member: Member | None) -> Member:
    """The author as a member, even if they have left or their account was deleted."""
    if member and member.left_at is None:
        return member
    return Member(chat_id=draft.chat_id, profile_id=draft.author_id, role=Role.MEMBER, joined_at=draft.at)
