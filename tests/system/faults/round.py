"""
One round: people with hostile clients talk on a cluster, faults happen, everything heals, and what everybody saw is judged.

The people are those of `tests.simulation`, here on real sockets, streams and requests. A number decides who they are, what they
do and which faults happen in which order, though not how the machine shares its time.
"""

import asyncio
import itertools
from collections.abc import Sequence
from contextlib import suppress
from random import Random
from typing import Any, Final
from uuid import UUID

from attrs import define, field, frozen

from application.errors import ApplicationError, NotAuthenticated, OutcomeUnknown
from domain.errors import DomainError
from domain.ids import ChatId
from tests.checker.history import (
    Acked,
    Answered,
    Asked,
    Belongs,
    Cut,
    Event,
    Failure,
    HistoryRead,
    Joined,
    Kept,
    Leaving,
    MarkSeen,
    Quiet,
    Refused,
    Said,
    SendStarted,
    Unknown,
    UnreadRead,
)
from tests.checker.judge import judge
from tests.checker.picture import Limits, Violation
from tests.simulation.all_chats import AllChatsDevice
from tests.simulation.chance import Chance
from tests.simulation.clients import Device, Notebook, SimulatedPerson
from tests.system.faults.catalogue import Fault, Scene, surviving
from tests.system.faults.cluster import INTERVAL, PATIENCE, Cluster, Node
from tests.system.faults.pulse import Beat, Pulse, all_heard
from tests.system.faults.registry import Registry, surely

PACE: Final = 0.15
"""Seconds by which everything that people do takes longer than in the simulated world."""

GRACE: Final = 8.0
"""Seconds until a node knows that somebody was removed, while faults keep it from knowing."""

HEALS: Final = 60.0
"""Seconds after which what does not heal never does. D12 promises ten on a machine that has time."""

RESTS: Final = 45.0
"""Seconds after which everything is at rest, or never is."""

CLOCKS: Final = 0.05
"""Seconds by which the clocks of two nodes differ, and what rounding does to them."""

WHISPERED: Final = 6
"""Chats in which little is said: what is missed there, nothing that comes later reveals."""

STAGGERED: Final = 0.25
"""Seconds between what is said in one quiet chat and in the next one, so that each is in a transaction of its own."""

FLOODED: Final = 80
"""Messages of a flood in two chats. Half of them is more than a socket, what is on its way to it and its outbox hold."""

LONG: Final = "\N{WATER WAVE}" * 3900
"""The text of each of them: nearly as many characters as a message may have, of four bytes each."""

BOUNDED: Final = "timeout graceful shutdown exceeded"
"""uvicorn says so of requests that take longer than a node has that was told to end."""

GIVES_UP: Final = 5.0
"""Seconds after which somebody gives up waiting for the answer to a request."""

AT_ONCE: Final = 8
"""The most long messages that are under way at the same time."""

PAGE: Final = 200
"""Messages of a page of history."""


class Paced(Chance):
    """People on real machines."""

    def wait(self, longest: float) -> float:
        return super().wait(longest) + PACE


@frozen
class Mark:
    """A fault that happened. Times are in seconds since the round began to talk."""

    fault: str
    began: float
    lifted: float
    healed: float | None
    """When everybody heard everybody again; None if that did not happen."""

    @property
    def took(self) -> float | None:
        """How long it took to heal."""
        return None if self.healed is None else max(self.healed - self.lifted, 0.0)


@frozen
class Latency:
    """How long one beat took, from the moment at which somebody wanted to say it."""

    at: float
    acked: float | None
    heard: float | None
    """Until all pulses had heard it."""


@frozen
class Outcome:
    number: int
    marks: list[Mark]
    violations: list[Violation]
    latencies: list[Latency]
    messages: int
    events: list[Event]

    def __str__(self) -> str:
        faults = ", ".join(
            f"{mark.fault} {'never' if mark.took is None else f'{mark.took:.1f} s'}" for mark in self.marks
        )
        return f"round {self.number}: {self.messages} messages, {faults}, {len(self.violations)} violations"


@define(eq=False)
class Round:
    cluster: Cluster
    registry: Registry
    number: int
    faults: Sequence[Fault]
    workers: int = 1
    heals: float = HEALS
    rests: float = RESTS
    grace: float = GRACE
    lasts: float = 1.0
    """How long faults last, as `Scene.lasts`."""
    chance: Chance = field(init=False)
    notebook: Notebook = field(init=False, factory=Notebook)
    people: list[SimulatedPerson] = field(init=False, factory=list)
    chats: dict[ChatId, SimulatedPerson] = field(init=False, factory=dict)
    """And whose they are."""
    members: dict[ChatId, list[SimulatedPerson]] = field(init=False, factory=dict)
    whispered: list[ChatId] = field(init=False, factory=list)
    tokens: dict[SimulatedPerson, str] = field(init=False, factory=dict)
    """For requests without a socket; these sessions never end."""
    devices: list[Device] = field(init=False, factory=list)
    hearers: list[AllChatsDevice] = field(init=False, factory=list)
    pulses: list[Pulse] = field(init=False, factory=list)
    beats: dict[str, Beat] = field(init=False, factory=dict)
    is_over: bool = field(init=False, default=False)
    began: float = field(init=False, default=0.0)

    def __attrs_post_init__(self) -> None:
        self.chance = Paced(Random(self.number))

    @property
    def at(self) -> float:
        return asyncio.get_running_loop().time()

    @property
    def nodes(self) -> list[Node]:
        return self.cluster.nodes

    @property
    def everybody(self) -> "list[Device | AllChatsDevice]":
        return [*self.pulses, *self.devices, *self.hearers]

    def complain(self, what: str) -> None:
        self.notebook.write(Failure(at=self.at, what=what))

    async def run(self) -> Outcome:
        logs = {node.name: len(node.server.log()) for node in self.nodes}
        await self._settle()
        self.began = self.at
        lives = [asyncio.create_task(one.live()) for one in self.everybody]
        bothering = asyncio.create_task(self._bother())
        marks: list[Mark] = []
        try:
            await self._heal(self.at)
            marks += [await self._break(fault) for fault in self.faults]
            self.is_over = True
            await bothering
            await self._part()
            await self._calm(lives)
            violations, kept = await self._judge()
        finally:
            self.is_over = True
            for task in (bothering, *lives):
                task.cancel()
            await asyncio.wait([bothering, *lives])
            for one in self.everybody:
                if one.visit is not None:
                    one.visit.line.drop()
        for node in self.nodes:
            for line in node.server.log()[logs[node.name] :].splitlines():
                if " ERROR " in line and BOUNDED not in line:
                    violations.append(Violation("failure", f"{node.name} logged: {line}", 0.0))
        messages = sum(len(each.messages) for each in kept)
        return Outcome(self.number, marks, violations, self._latencies(), messages, self.notebook.events)

    # Who there is

    async def _settle(self) -> None:
        """Four people and an outsider, three lively chats, some quiet ones, and one for the pulses."""
        for n in range(5):
            await self._join(f"person{n}")
        insiders = self.people[:4]
        for number in range(3):
            owner = insiders[number % 2]
            chat_id = await self._open(f"chat {number}", owner, insiders)
            for person in (owner, insiders[2], insiders[3]):
                await self._equip(person, f"{person.name} in {number}", chat_id)
            if number == 0:
                await self._equip(self.people[4], "outsider", chat_id)
        for number, person in enumerate((insiders[1], insiders[3], self.people[4])):
            over = (("ws",), ("ws", "events", "sync"), ("ws", "events", "sync"))[number]
            session, token = await self.registry.sign_in(person, f"all {number}")
            self.hearers.append(self._hearer(person, f"{person.name} in all", session, token, over))
        await self._settle_pulses(insiders[:2])

    async def _settle_pulses(self, whispering: Sequence[SimulatedPerson]) -> None:
        """The pulses are in the quiet chats too. They stay connected, and so nothing tells them again what they missed."""
        pulsing = [await self._join(f"pulse of {node.name}") for node in self.nodes]
        for number in range(WHISPERED):
            people = [*whispering, *pulsing]
            self.whispered.append(await self._open(f"quiet chat {number}", people[0], people))
        chat_id = await self._open("pulse", pulsing[0], pulsing)
        for person, node in zip(pulsing, self.nodes, strict=True):
            session, token = await self.registry.sign_in(person, "pulse")
            self.pulses.append(
                Pulse(
                    person=person,
                    name=person.name,
                    notebook=self.notebook,
                    chance=self.chance,
                    nodes=self.nodes,
                    profiles=[],
                    session=session,
                    token=token,
                    node=node,
                    chat=str(chat_id),
                    beats=self.beats,
                    is_alone=self.workers == 1,
                )
            )

    async def _join(self, name: str) -> SimulatedPerson:
        person = await self.registry.join(name)
        _, self.tokens[person] = await self.registry.sign_in(person, "requests")
        self.people.append(person)
        return person

    async def _open(self, name: str, owner: SimulatedPerson, people: Sequence[SimulatedPerson]) -> ChatId:
        others = [person for person in people if person is not owner]
        chat_id = await self.registry.open_chat(name, [owner, *others])
        self.chats[chat_id] = owner
        self.members[chat_id] = [*people]
        for person in people:
            self.notebook.write(Belongs(at=self.at, chat=str(chat_id), profile=person.profile))
        return chat_id

    async def _equip(self, person: SimulatedPerson, name: str, chat_id: ChatId) -> None:
        session, token = await self.registry.sign_in(person, name)
        self.devices.append(
            Device(
                person=person,
                name=name,
                chat_id=chat_id,
                notebook=self.notebook,
                chance=self.chance,
                nodes=self.nodes,
                devices=self.devices,
                session=session,
                token=token,
            )
        )

    def _hearer(
        self, person: SimulatedPerson, name: str, session: str, token: str, over: Sequence[str]
    ) -> AllChatsDevice:
        return AllChatsDevice(
            person=person,
            name=name,
            notebook=self.notebook,
            chance=self.chance,
            nodes=self.nodes,
            profiles=[],
            session=session,
            token=token,
            over=over,
        )

    # What happens

    async def _break(self, fault: Fault) -> Mark:
        await asyncio.sleep(self.chance.random.uniform(0.2, 0.6))
        scene = Scene(
            self.cluster,
            self.chance.random,
            self.tokens[self.people[0]],
            (await self.registry.join("correspondent")).account.email.text,
            self._whisper_everywhere,
            self._flood,
            self.complain,
            self.lasts,
        )
        began = self.at
        await fault.inject(scene)
        self.cluster.heal()
        scene.lift()
        for name in surviving(scene):
            self.complain(f"{name} ended by itself during {fault.name}")
        assert scene.lifted is not None
        healed = await self._heal(scene.lifted)
        if healed is not None and scene.settled is not None:
            healed = max(healed, scene.settled)
        return Mark(
            fault.name,
            began - self.began,
            scene.lifted - self.began,
            None if healed is None else healed - self.began,
        )

    async def _heal(self, since: float) -> float | None:
        """When all pulses heard each other again, or None."""
        try:
            async with asyncio.timeout(self.heals):
                return await all_heard(self.pulses, self.beats, since)
        except TimeoutError:
            states = "; ".join(pulse.state(self.beats.values()) for pulse in self.pulses)
            self.complain(f"nothing healed within {self.heals:.0f} s: {states}")
            return None

    async def _flood(self) -> None:
        readers = [device for device in self.devices if device.visit is not None]
        for device in readers[::2]:
            assert device.visit is not None
            device.visit.line.to_client.freeze()
        for hearer in self.hearers:
            if hearer.visit is not None and self.chance.decides(0.5):
                hearer.visit.line.to_client.freeze()
        chats, lock = [*self.chats][:2], asyncio.Semaphore(AT_ONCE)

        async def say(number: int) -> None:
            async with lock:
                chat_id = chats[number % len(chats)]
                text = f"flood {number} {LONG}"
                await self._say(self.chance.one_of(self.nodes), self.chats[chat_id], chat_id, text)

        await asyncio.gather(*map(say, range(FLOODED)))
        await asyncio.sleep(1.0)
        for one in self.everybody:
            if one.visit is not None:
                one.visit.line.to_client.thaw()

    async def _bother(self) -> None:
        """With requests that come without a socket."""
        while not self.is_over:
            await asyncio.sleep(self.chance.wait(0.4))
            node, chosen = self.chance.one_of(self.nodes), self.chance.random.random()
            chat_id = self.chance.one_of([*self.chats][:3])
            device = self.chance.one_of(self.devices)
            if chosen < 0.2:
                await device.send_without_socket(node)
            elif chosen < 0.3:
                await self._rename(node, chat_id)
            elif chosen < 0.45:
                await self._let_in(chat_id)
            elif chosen < 0.6:
                await self._put_out(chat_id)
            elif chosen < 0.65:
                await self._sign_out_and_in(device)
            elif chosen < 0.8:
                await self._whisper(node)
            elif chosen < 0.9:
                hearer = self.chance.one_of(self.hearers)
                if known := hearer._with_messages():
                    chat, seq = self.chance.one_of(known)
                    await hearer.mark_without_socket(node, ChatId(UUID(chat)), seq)
            else:
                await self._read(node, device)

    async def _rename(self, node: Node, chat_id: ChatId) -> None:
        name = f"chat {self.notebook.number('name')}"
        await self._try("PUT", f"/chats/{chat_id}/", self.tokens[self.chats[chat_id]], node, {"name": name})

    async def _whisper(self, node: Node) -> None:
        """Says one thing in a quiet chat."""
        chat_id = self.chance.one_of(self.whispered)
        await self._say(node, self.chance.one_of(self.members[chat_id]), chat_id, "whispered")

    async def _whisper_everywhere(self, node: Node) -> None:
        async def whisper(number: int, chat_id: ChatId) -> None:
            await asyncio.sleep(number * STAGGERED)
            await self._say(node, self.chats[chat_id], chat_id, "whispered everywhere")

        await asyncio.gather(*(whisper(number, chat_id) for number, chat_id in enumerate(self.whispered)))

    async def _say(
        self, node: Node, person: SimulatedPerson, chat_id: ChatId, text: str, *, has_nonce: bool = True
    ) -> None:
        """
        Sends a message over HTTP, again and again until it is acknowledged or refused, by whichever node; without a nonce only
        once.
        """
        number = self.notebook.number("text")
        nonce, started = f"said {number}" if has_nonce else None, f"{text} {number}"
        while True:
            send = self.notebook.number("send")
            self.notebook.write(
                SendStarted(
                    at=self.at,
                    send=send,
                    connection=None,
                    chat=str(chat_id),
                    profile=person.profile,
                    session="",
                    text=started,
                    nonce=nonce,
                )
            )
            try:
                async with asyncio.timeout(GIVES_UP):
                    stored = await node.send(self.tokens[person], chat_id, started, nonce)
            except (OutcomeUnknown, TimeoutError):
                self.notebook.write(Unknown(at=self.at, send=send))
            except ApplicationError as error:
                self.notebook.write(Refused(at=self.at, send=send, code=error.code))
            except DomainError as error:
                self.notebook.write(Refused(at=self.at, send=send, code=error.code))
                return
            else:
                self.notebook.write(
                    Acked(
                        at=self.at,
                        send=send,
                        id=stored.id,
                        seq=stored.seq,
                        position=stored.position,
                        duplicate=stored.duplicate,
                    )
                )
                if nonce is not None and chat_id in self.whispered:
                    heard = {pulse.name: pulse.told[nonce] for pulse in self.pulses if nonce in pulse.told}
                    beat = Beat(person.name, str(chat_id), self.at, self.at, stored.position, heard)
                    self.beats[nonce] = beat
                return
            if not has_nonce:
                return
            await asyncio.sleep(0.1)
            node = self.chance.one_of(self.nodes)

    async def _try(
        self, method: str, path: str, token: str, node: Node, body: Any = None, *, attempt: int = 0
    ) -> bool | None:
        """
        Whether a request was carried out; None where nobody can tell. Each attempt is twice as patient as the one before:
        a busy node would be asked again before it could answer, for ever. Raises `DomainError` for a refusal.
        """
        more = {} if body is None else {"json": body}
        try:
            async with asyncio.timeout(min(self.chance.wait(2.0) * 2**attempt, PATIENCE)):
                await node.ask(method, path, token, **more)
        except NotAuthenticated:
            raise
        except (TimeoutError, ApplicationError):
            await asyncio.sleep(0.05)
            return None
        return True

    async def _until_done(self, method: str, path: str, token: str, body: Any = None) -> str | None:
        """
        Repeats a request until it is surely done. Returns the name of the node where everybody heard of it at once; None:
        nobody can tell.
        """
        for attempt in itertools.count():
            node = self.chance.one_of(self.nodes)
            try:
                done = await self._try(method, path, token, node, body, attempt=attempt)
            except DomainError as error:
                if attempt and error.code == "no_such_member":
                    return None  # an earlier try was heeded after all
                raise
            if done:
                return node.name if attempt == 0 and self.workers == 1 else None
        raise AssertionError

    async def _let_in(self, chat_id: ChatId) -> None:
        outside = [person for person in self.people[:5] if person not in self.members[chat_id]]
        if not outside:
            return
        newcomer, chat = self.chance.one_of(outside), str(chat_id)
        self.notebook.write(Joined(at=self.at, chat=chat, profile=newcomer.profile))
        token = self.tokens[self.chats[chat_id]]
        await self._until_done("POST", f"/chats/{chat}/members/", token, {"profileIds": [newcomer.profile]})
        self.members[chat_id].append(newcomer)
        self.notebook.write(Belongs(at=self.at, chat=chat, profile=newcomer.profile))

    async def _put_out(self, chat_id: ChatId) -> None:
        """Puts somebody out who has just said something through each node, and tries to say more."""
        inside = [person for person in self.members[chat_id] if person is not self.chats[chat_id]]
        if not inside:
            return
        gone, chat = self.chance.one_of(inside), str(chat_id)
        for node in self.nodes:
            await self._say(node, gone, chat_id, "I am here", has_nonce=False)
        self.notebook.write(Leaving(at=self.at, chat=chat, profile=gone.profile))
        token = self.tokens[self.chats[chat_id]]
        told = await self._until_done("DELETE", f"/chats/{chat}/members/{gone.profile}/", token)
        self.members[chat_id].remove(gone)
        self.notebook.write(Cut(at=self.at, chat=chat, profile=gone.profile, node=told))
        for node in self.nodes:
            await self._say(node, gone, chat_id, "let me in again", has_nonce=False)

    async def _part(self) -> None:
        """Somebody leaves a chat and is let in again, also if that has not happened in this round yet."""
        chat_id = self.chance.one_of([*self.chats][:3])
        await self._let_in(chat_id)
        await self._put_out(chat_id)
        await self._say(self.chance.one_of(self.nodes), self.chats[chat_id], chat_id, "among ourselves")
        await self._let_in(chat_id)

    async def _sign_out_and_in(self, device: Device) -> None:
        if (token := device.token) is None:
            return
        try:
            told = await self._until_done("POST", "/accounts/sign-out/", token)
        except NotAuthenticated:
            told = None
        device.token = None
        self.notebook.write(Cut(at=self.at, session=device.session, node=told))
        device.session, device.token = await self.registry.sign_in(device.person, device.name)

    # What is read without a socket

    async def _read(self, node: Node, device: Device) -> None:
        if device.person in self.members[device.chat_id]:
            with suppress(DomainError, ApplicationError, TimeoutError):
                async with asyncio.timeout(GIVES_UP):
                    await self._ask(node, device.person, device.chat_id, self.notebook.events)

    async def _ask(self, node: Node, person: SimulatedPerson, chat_id: ChatId, events: list[Event]) -> None:
        token, path = self.tokens[person], f"/chats/{chat_id}/"
        ask = self._asked(person, chat_id, events)
        try:
            chat = await node.ask("GET", path, token)
        except (DomainError, ApplicationError):
            events.append(Answered(at=self.at, ask=ask))
            raise
        events.append(MarkSeen(at=self.at, ask=ask, seq=chat["readUpTo"]))
        events.append(UnreadRead(at=self.at, ask=ask, count=chat["unreadCount"]))
        ask = self._asked(person, chat_id, events)
        try:
            page = await node.ask("GET", f"{path}history/", token, params={"limit": PAGE})
        except (DomainError, ApplicationError):
            events.append(Answered(at=self.at, ask=ask))
            raise
        events.append(
            HistoryRead(
                at=self.at,
                ask=ask,
                messages=[_said(message) for message in page["entities"]],
                total=page["totalCount"],
                size=PAGE,
            )
        )

    def _asked(self, person: SimulatedPerson, chat_id: ChatId, events: list[Event]) -> int:
        ask = self.notebook.number("ask")
        events.append(
            Asked(at=self.at, ask=ask, connection=None, chat=str(chat_id), profile=person.profile, session="")
        )
        return ask

    # What is there in the end

    async def _calm(self, lives: "list[asyncio.Task[None]]") -> None:
        """Everybody comes back, has everything answered and does nothing new."""
        for one in self.everybody:
            one.is_settling = True
            if one.visit is not None:
                one.visit.line.to_client.thaw()
                one.visit.changed.set()
        self.chance.calm = True
        _, late = await asyncio.wait(lives, timeout=self.rests)
        for life in lives:
            if life in late:
                self.complain(f"somebody never settled: {life}")
            elif error := life.exception():
                raise error

    async def _judge(self) -> tuple[list[Violation], list[Kept]]:
        """
        Looks at everything that is at rest. What is merely late is found right by a later look; what broke a promise once
        stays broken.
        """
        limits = Limits(grace=self.grace, interval=INTERVAL, clocks=CLOCKS)
        until = self.at + self.rests
        await asyncio.sleep(1.0)
        while True:
            seen = len(self.notebook.events)
            events = await self._look()
            history = [*self.notebook.events[:seen], *events]
            found = await asyncio.to_thread(judge, history, limits)
            if not found or self.at > until:
                self.notebook.events = history
                return found, [event for event in events if isinstance(event, Kept)]
            await asyncio.sleep(1.0)

    async def _look(self) -> list[Event]:
        events: list[Event] = [Quiet(at=self.at)]
        for chat_id in self.chats:
            events.append(await surely(lambda chat_id=chat_id: self.registry.kept(chat_id, self.at)))  # type: ignore[misc]
            members = self.members[chat_id]
            for person in self.chance.random.sample(members, 2) if chat_id in self.whispered else members:
                # A connection from the time of a fault may still end: it carries what it was to carry before it is cut.
                await surely(
                    lambda person=person, chat_id=chat_id: self._ask(  # type: ignore[misc]
                        self.chance.one_of(self.nodes), person, chat_id, events
                    )
                )
        return events

    def _latencies(self) -> list[Latency]:
        return [
            Latency(
                beat.began - self.began,
                None if beat.acked is None else beat.acked - beat.began,
                None if len(beat.heard) < len(self.pulses) else max(beat.heard.values()) - beat.began,
            )
            for beat in self.beats.values()
            if beat.chat not in map(str, self.whispered)
        ]


def _said(message: dict[str, Any]) -> Said:
    return Said(
        id=message["id"],
        chat=message["chatId"],
        seq=message["seq"],
        position=message["position"],
        author=message["sender"]["id"],
        text=message["text"],
        nonce=message.get("nonce"),
        sent_at=message["sentAt"],
    )
