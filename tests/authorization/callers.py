"""Who asks: the people around one group, and tokens that nobody should get far with."""

import json
from datetime import timedelta
from enum import StrEnum
from typing import Final

from attrs import evolve, frozen

from application.accounts.own_sessions import end_all
from application.accounts.reset_password import ResetPassword
from application.accounts.signed_in import OpenSession, SignedIn
from application.chats.add_members import AddMembers
from application.chats.change_role import ChangeRole
from application.chats.create import CreateChat
from application.chats.remove_member import RemoveMember
from application.ports.seals import Challenge, Purpose, Visit
from application.ports.tokens import ConfirmationToken, PendingToken
from domain.account import Account, Email, PasswordHash
from domain.chat import About
from domain.events import SessionEnd
from domain.factor import SealedSecret, SecondFactor
from domain.ids import AccountId, ChatId, MessageId, SessionId
from domain.passkey import Passkey, PasskeyName
from domain.role import Role
from domain.scope import Grant, Scope, TokenName
from domain.session import Fingerprint, Lifetimes, Origin, Session
from infrastructure.memory.accounts import AccountState
from infrastructure.memory.chats import ChatState
from infrastructure.memory.storage import MemoryStorage
from tests.all_chats import House
from tests.authenticator import Authenticator, encoded
from tests.world import SignedInPerson

PASSWORD: Final = "Password1"
RECOVERY_CODE: Final = "w4kd-7xqm-2hzn-b5ty"


class Caller(StrEnum):
    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"
    FORMER = "former member"
    STRANGER = "stranger"
    PROGRAM = "program with all scopes"
    """Sends an access token that the owner made for a program."""
    READING = "program without scopes"
    NOBODY = "signed out"
    """Sends no token."""
    ENDED = "ended session"
    """Sends a token of the owner's whose session has ended."""
    OTHERS = "another's session"
    """Sends a token that is signed for the owner's account and names a session of somebody else."""


SIGNED_IN: Final = (Caller.OWNER, Caller.ADMIN, Caller.MEMBER, Caller.FORMER, Caller.STRANGER)

LEAST_FIRST: Final = tuple(reversed(Caller))
"""Who may do least comes first: what they are refused leaves the group as it was for the next one."""


@frozen(kw_only=True)
class Group:
    """A group with a person in each relation to it, and tokens for all callers."""

    house: House
    people: dict[Caller, SignedInPerson]
    other: SignedInPerson
    """A plain member, to whom things are done."""
    chat_id: ChatId
    message_id: MessageId
    """Said by a member."""
    tokens: dict[Caller, str]
    refresh_tokens: dict[Caller, str]
    session_of_other: SessionId
    more: str
    """The `next` of the owner's first page of chats."""

    def path(self, template: str) -> str:
        return template.format(
            chat_id=self.chat_id,
            message_id=self.message_id,
            profile_id=self.other.actor.profile_id,
            session_id=self.session_of_other,
            token_id=self.session_of_other,
            identity_id=self.session_of_other,
            provider="example",
            passkey_id=self.session_of_other,
            name="countries",
            code="NOT_FOUND",
        )

    def own_session(self, caller: Caller) -> SessionId:
        person = self.people.get(caller, self.people[Caller.OWNER])
        return person.actor.session_id

    def state(self) -> str:
        """Everything that is stored, as a text. A failed sign-in is only noted for the owner of the account to see."""
        return repr((evolve(self.memory.accounts, events={}), self.memory.chats))

    @property
    def memory(self) -> MemoryStorage:
        memory: MemoryStorage = self.house.world.application.adapters.memory()
        return memory

    async def letter(self, caller: Caller) -> str:
        """Ask for a letter to the caller, and return the token in it."""
        person = self.people.get(caller, self.people[Caller.OWNER])
        address = Email(person.actor.email)
        await self.house.world.messenger.accounts.reset_password(ResetPassword(email=address))
        letters = self.memory.accounts.letters.values()
        found = [each for each in letters if each.recipient == address and each.link]
        letter = max(found, key=lambda each: each.created_at)
        assert letter.link is not None
        token = ConfirmationToken(
            account_id=letter.account_id,
            email=address.text,
            confirmation_id=letter.link.confirmation_id,
            issued_at=letter.link.issued_at,
            expires_at=letter.link.expires_at,
        )
        return self.house.world.application.ports().tokens.sign(token)

    def visit(self, caller: Caller, *, to_link: bool = False) -> str:
        """Return what the browser of a caller has who came back from a provider."""
        person = self.people.get(caller, self.people[Caller.OWNER])
        ports = self.house.world.application.ports()
        signed_in = ports.tokens.read_access(self.tokens[caller], at=ports.clock.now()) if to_link else None
        return ports.seals.seal(
            Visit(
                provider="example",
                state=ports.ids.token_id(),
                nonce="nonce",
                verifier="verifier",
                expires_at=ports.clock.now() + timedelta(minutes=10),
                fingerprint=Fingerprint("new"),
                account_id=signed_in.account_id if signed_in else None,
                session_id=signed_in.session_id if signed_in else None,
                code=person.actor.email,
            )
        )

    async def with_passkey(self, caller: Caller) -> Authenticator:
        """Give the account of the caller a passkey, and return the device that has it."""
        person, device = self.people.get(caller, self.people[Caller.OWNER]), Authenticator()
        asked = self.house.world.application.authenticators().options_to_make(
            "challenge", person.actor.account_id, person.actor.email, ()
        )
        made = device.make(json.loads(json.dumps(asked)))
        new = self.house.world.application.authenticators().made(made, "challenge")
        ports = self.house.world.application.ports()
        async with self.house.world.begin() as work:
            await work.passkeys.save(
                Passkey(
                    id=ports.ids.passkey(),
                    account_id=person.actor.account_id,
                    credential_id=new.credential_id,
                    public_key=new.public_key,
                    name=PasskeyName("A passkey"),
                    created_at=ports.clock.now(),
                )
            )
        return device

    async def answered(self, caller: Caller, purpose: Purpose) -> dict[str, object]:
        """Return the answer of a device of the caller's, to a question in its session or before there is one."""
        device, ports = await self.with_passkey(caller), self.house.world.application.ports()
        is_signed_in = purpose is not Purpose.SIGN_IN and caller in SIGNED_IN
        own = ports.tokens.read_access(self.tokens[caller], at=ports.clock.now()) if is_signed_in else None
        challenge = Challenge(
            purpose=purpose,
            text=ports.ids.token_id(),
            expires_at=ports.clock.now() + timedelta(minutes=5),
            account_id=own.account_id if own else None,
            session_id=own.session_id if own else None,
        )
        asked: dict[str, object] = {
            "challenge": encoded(challenge.text.encode()),
            "rpId": "chat.example",
            "userVerification": "required",
            "allowCredentials": [],
        }
        return {"token": ports.seals.seal(challenge), "credential": device.use(asked)}

    async def with_factor(self, caller: Caller) -> Account:
        """Give the account of the caller a second factor, with the recovery code `RECOVERY_CODE`, and return the account."""
        person = self.people.get(caller, self.people[Caller.OWNER])
        world = self.house.world
        ports = world.application.ports()
        now = ports.clock.now()
        async with world.begin() as work:
            account = await work.accounts.lock(person.actor.account_id)
            factor = SecondFactor(account_id=account.id, secret=SealedSecret(""), begun_at=now)
            factor.confirm(1, [ports.codes.digest(RECOVERY_CODE)], at=now)
            await work.factors.save(factor)
        return account

    async def pending(self, caller: Caller) -> str:
        """Begin to sign in to the account of the caller, which has a second factor, and return the token to finish with."""
        account, ports = await self.with_factor(caller), self.house.world.application.ports()
        rules = self.house.world.application.account_rules().sessions
        open_session = OpenSession(ids=ports.ids, lifetimes=rules, codes=ports.codes)
        async with self.house.world.begin() as work:
            waiting = await open_session(work, account, Fingerprint("new"), Origin(), at=ports.clock.now())
        assert isinstance(waiting, PendingToken)
        return ports.tokens.sign(waiting)


async def gather(house: House, password: PasswordHash) -> Group:
    world = house.world
    memory: MemoryStorage = world.application.adapters.memory()
    # Nothing of an earlier group stays: the state would grow with each.
    memory.accounts, memory.chats = AccountState(), ChatState()
    names = {caller: caller.value for caller in SIGNED_IN}
    people = {caller: await world.person(name) for caller, name in names.items()}
    other, messenger = await world.person("Other"), world.messenger
    owner = people[Caller.OWNER].actor
    in_group = [people[each].actor for each in (Caller.ADMIN, Caller.MEMBER, Caller.FORMER)]
    await world.chat(owner, other.actor, name="Another chat")
    chat_id = (await messenger.chats.create(owner, CreateChat(about=About("The group"), member_ids=()))).id
    wanted = tuple(actor.profile_id for actor in (*in_group, other.actor))
    await messenger.chats.add_members(owner, AddMembers(chat_id=chat_id, profile_ids=wanted))
    admin = people[Caller.ADMIN].actor.profile_id
    await messenger.chats.change_role(owner, ChangeRole(chat_id=chat_id, profile_id=admin, role=Role.ADMIN))
    said = await world.say(people[Caller.MEMBER].actor, chat_id, "Hello")
    former = people[Caller.FORMER].actor.profile_id
    await messenger.chats.remove_member(owner, RemoveMember(chat_id=chat_id, profile_id=former))

    ports, clock = world.application.ports(), world.application.ports().clock
    rules = world.application.account_rules().sessions
    opened: dict[Caller, SignedIn] = {}
    for caller, person in {**people, Caller.ENDED: people[Caller.OWNER]}.items():
        async with world.begin() as work:
            account = await work.accounts.lock(person.actor.account_id)
            account.rehash(password)
            await work.accounts.save(account)
            open_session = OpenSession(ids=ports.ids, lifetimes=rules, codes=ports.codes)
            session = await open_session.by_both(
                work, account, Fingerprint(f"of {caller}"), Origin(), at=clock.now()
            )
        opened[caller] = SignedIn.to(session, account.email.text, ports.tokens, at=clock.now())
    ended = ports.tokens.read_access(opened[Caller.ENDED].access_token, at=clock.now())
    await _end(house, ended.account_id, ended.session_id)
    owners = ports.tokens.read_access(opened[Caller.OWNER].access_token, at=clock.now())
    strange = ports.tokens.read_access(opened[Caller.STRANGER].access_token, at=clock.now())
    confused = ports.tokens.sign(evolve(owners, session_id=strange.session_id, token_id=strange.token_id))
    owners_refresh = ports.tokens.read_refresh(opened[Caller.OWNER].refresh_token, at=clock.now())
    strange_refresh = ports.tokens.read_refresh(opened[Caller.STRANGER].refresh_token, at=clock.now())
    confused_refresh = ports.tokens.sign(
        evolve(owners_refresh, session_id=strange_refresh.session_id, token_id=strange_refresh.token_id)
    )
    programs = {
        Caller.PROGRAM: await _program(house, people[Caller.OWNER], frozenset(Scope)),
        Caller.READING: await _program(house, people[Caller.OWNER], frozenset()),
    }
    page = (await house.http.get("/sync/", headers=people[Caller.OWNER].headers)).json()["data"]
    (snapshot,) = [frame for frame in page["frames"] if frame["type"] == "snapshot"]
    return Group(
        house=house,
        people=people,
        other=other,
        chat_id=chat_id,
        message_id=said.event.message.id,
        tokens={caller: each.access_token for caller, each in opened.items()}
        | {Caller.OTHERS: confused}
        | programs,
        refresh_tokens={caller: each.refresh_token for caller, each in opened.items()}
        | {Caller.OTHERS: confused_refresh},
        session_of_other=other.actor.session_id,
        more=snapshot["next"],
    )


async def _program(house: House, owner: SignedInPerson, scopes: frozenset[Scope]) -> str:
    """Make an access token of the owner's for a program. Its last use is in the future, so that using it changes nothing."""
    ports = house.world.application.ports()
    at, id = ports.clock.now() + timedelta(days=1), ports.ids.session()
    made = ports.access_tokens.new(owner.actor.account_id, id)
    session = Session.open(
        id=id,
        account_id=owner.actor.account_id,
        profile_id=owner.actor.profile_id,
        fingerprint=Fingerprint(f"token {id.hex}"),
        origin=Origin(),
        pair=Lifetimes(access=timedelta(days=90)).pair(access_id=made.digest, refresh_id="never", at=at),
        at=at,
        grant=Grant(TokenName("A program"), scopes),
    )
    async with house.world.begin() as work:
        await work.sessions.add(session)
    return made.text


async def _end(house: House, account_id: AccountId, session_id: SessionId) -> None:
    world = house.world
    async with world.begin() as work:
        session = await work.sessions.lock(account_id, session_id)
        await end_all(work, [session], SessionEnd.REVOKED, at=world.application.ports().clock.now())
