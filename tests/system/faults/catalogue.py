"""
What can break, each as a function that breaks it for a while and mends it.

The numbers are those of the project's list of faults. Each function returns when the fault is over; from then on the
messenger has to heal. A function that starts a process again calls `Scene.lift` before that, so that the time of the start
counts.
"""

import asyncio
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from random import Random
from typing import Final

import httpx
import nats
import orjson
import psutil
import psycopg
from attrs import define, field, frozen
from nats.aio.msg import Msg

from infrastructure.nats.updates import NatsUpdates
from infrastructure.postgres.updates import CHANNEL
from interfaces.ws.closing import Close
from tests.infrastructure.smtp.sink import says
from tests.system.client import token_in
from tests.system.faults.cluster import DATABASE, PATIENCE, Cluster, Node
from tests.system.faults.lines import SocketLine
from tests.system.faults.wire import FINE, Weather, Wire
from tests.system.postgres import lives

SECONDS: Final = 2.0
"""How long faults last that have no length of their own."""

ENDED_WITHIN: Final = 50.0
"""Seconds after which a node that was told to end hangs."""

CROWD: Final = 150
"""Sockets of a storm."""

NEVER_IN: Final = 240.0
"""Seconds after which sockets that are not in never will be. How long it takes is part of the time to heal."""

HANGS: Final = 60.0
"""Seconds after which something that a fault waits for never comes."""


@define(eq=False)
class Scene:
    """What faults happen to, and the people to whom they happen."""

    cluster: Cluster
    chance: Random
    token: str
    """The access token of a person whose session never ends."""
    email: str
    """The address of somebody whom nothing else happens to."""
    whisper: Callable[[Node], Awaitable[None]]
    """Says something in each quiet chat through this node, in one after the other."""
    flood: Callable[[], Awaitable[None]]
    """Lets some clients read nothing, and the others say very much."""
    complain: Callable[[str], None]
    """Writes down that something broke a promise that no client sees."""
    lasts: float = 1.0
    """How long faults last, as a share of what they take in a long schedule."""
    lifted: float | None = None
    settled: float | None = None
    """When all those were back whom the pulses do not stand for; None if there are none. Healing takes that long at least."""
    may_end: list[Node] = field(factory=list)
    """Nodes that were ended on purpose, and not started again yet."""

    def lift(self) -> None:
        """The fault is over. Only the first call counts."""
        if self.lifted is None:
            self.lifted = asyncio.get_running_loop().time()

    def node(self) -> Node:
        return self.chance.choice(self.cluster.nodes)

    async def wait(self, seconds: float = SECONDS) -> None:
        await asyncio.sleep(seconds * self.lasts * self.chance.uniform(0.8, 1.2))


Inject = Callable[[Scene], Awaitable[None]]


@frozen(kw_only=True)
class Fault:
    name: str
    title: str
    inject: Inject
    is_default: bool = True
    """Whether it takes part without ``--all``."""


# Processes


async def _kill(scene: Scene, node: Node) -> None:
    scene.may_end.append(node)
    await node.kill()


async def _start(scene: Scene, node: Node) -> None:
    scene.lift()
    await node.start()
    scene.may_end.remove(node)


async def kill_node(scene: Scene) -> None:
    await _kill_for_a_while(scene, scene.node())


async def _kill_for_a_while(scene: Scene, node: Node) -> None:
    await _kill(scene, node)
    await scene.wait(0.5)
    await _start(scene, node)


async def _kill_at_commit(scene: Scene, weather: Weather) -> None:
    node = scene.node()
    node.database.change(weather)
    async with asyncio.timeout(HANGS):
        while not node.database.committing:  # noqa: ASYNC110 - the wire does not tell
            await asyncio.sleep(0.005)
    await asyncio.sleep(0.05)
    await _kill(scene, node)
    node.database.cut()
    node.database.change(FINE)
    await scene.wait(0.5)
    await _start(scene, node)


async def kill_behind_commit(scene: Scene) -> None:
    await _kill_at_commit(scene, Weather(commits="unanswered"))


async def kill_before_commit(scene: Scene) -> None:
    await _kill_at_commit(scene, Weather(commits="held"))


async def freeze_node(scene: Scene) -> None:
    node = scene.node()
    assert node.server.process is not None
    main = psutil.Process(node.server.process.pid)
    family = [main, *main.children(recursive=True)]
    for process in family:
        process.suspend()
    await scene.wait(6.0)
    for process in family:
        process.resume()


async def _stop(scene: Scene, node: Node) -> None:
    """Ends it as an operator does, and starts it again."""
    process = node.server.process
    assert process is not None
    scene.may_end.append(node)
    began = asyncio.get_running_loop().time()
    process.send_signal(signal.SIGTERM)
    code = await asyncio.to_thread(process.wait, HANGS)
    took = asyncio.get_running_loop().time() - began
    if code != 0:
        scene.complain(f"F5: the node ended with {code}")
    if took > ENDED_WITHIN:
        scene.complain(f"F5: the node took {took:.1f} s to end")
    await _start(scene, node)


async def stop_node(scene: Scene) -> None:
    await _stop(scene, scene.node())


async def restart_rolling(scene: Scene) -> None:
    for node in scene.cluster.nodes:
        scene.lifted = None
        await _stop(scene, node)
        await scene.wait(0.5)


@define(eq=False)
class Drifter:
    """A socket that only listens, and is opened again somewhere whenever it ends."""

    scene: Scene
    is_in: bool = False
    is_over: bool = False
    ends: list[int] = field(init=False, factory=list)
    """The codes with which its sockets have ended."""
    line: SocketLine = field(init=False)

    def come(self) -> None:
        if not self.is_over:
            up = [node for node in self.scene.cluster.nodes if node.is_up]
            self.line = self.scene.chance.choice(up).open(None, self._hear)
            self.line.say(orjson.dumps({"type": "auth", "token": self.scene.token}).decode())

    def _hear(self, item: str | Close) -> None:
        if isinstance(item, Close):
            self.is_in = False
            self.ends.append(int(item.code))
            wait = self.scene.chance.uniform(0.05, 0.5)
            asyncio.get_running_loop().call_later(wait, self.come)
        elif orjson.loads(item)["type"] == "snapshot":
            self.is_in = True

    def go(self) -> None:
        self.is_over = True
        self.line.drop()


async def reconnect_storm(scene: Scene) -> None:
    """The node on which all sockets are is killed, many that only listen among them. The other nodes take them all in."""
    node = scene.node()
    others = [other for other in scene.cluster.nodes if other is not node]
    for other in others:
        other.is_away = True
        other.clients.cut()
    crowd = [Drifter(scene) for _ in range(CROWD)]
    try:
        for drifter in crowd:
            drifter.come()
        await _all_in(scene, crowd)
        for other in others:
            other.is_away = False
        await _kill(scene, node)
        node.is_away = True
        for drifter in crowd:
            drifter.is_in = False  # though it may not know yet
        scene.lift()
        await asyncio.gather(_all_in(scene, crowd), _start(scene, node))
        scene.settled = asyncio.get_running_loop().time()
    finally:
        for drifter in crowd:
            drifter.go()


async def _all_in(scene: Scene, crowd: Sequence[Drifter]) -> None:
    try:
        async with asyncio.timeout(NEVER_IN):
            while not all(drifter.is_in for drifter in crowd):  # noqa: ASYNC110 - so many tell
                await asyncio.sleep(0.02)
    except TimeoutError:
        outside = sum(not drifter.is_in for drifter in crowd)
        ends = Counter(end for drifter in crowd for end in drifter.ends)
        scene.complain(f"F7: {outside} of {CROWD} sockets are not in after {NEVER_IN:.0f} s, after {ends}")


# PostgreSQL


async def kill_postgres(scene: Scene) -> None:
    postgres = scene.cluster.postgres
    await asyncio.to_thread(postgres.kill)
    await scene.wait(0.5)
    scene.lift()
    await asyncio.to_thread(postgres.start)


async def restart_postgres(scene: Scene) -> None:
    postgres = scene.cluster.postgres
    await asyncio.to_thread(postgres.stop)
    scene.lift()
    await asyncio.to_thread(postgres.start)


async def freeze_postgres(scene: Scene) -> None:
    postgres = scene.cluster.postgres
    family = await asyncio.to_thread(postgres.freeze)
    await scene.wait(3.0)
    postgres.thaw(family)


async def exhaust_pools(scene: Scene) -> None:
    """Answers of the database take a second, and many ask for something."""
    for node in scene.cluster.nodes:
        node.database.change(Weather(delay=0.5))
    codes = await asyncio.gather(
        *(_status(scene, node) for node in scene.cluster.nodes for _ in range(30)), return_exceptions=True
    )
    for node in scene.cluster.nodes:
        node.database.change(FINE)
    for code in codes:
        if isinstance(code, httpx.HTTPError):
            continue
        if isinstance(code, BaseException):
            raise code
        if code not in {200, 429, 503}:
            scene.complain(f"F13: a request was answered with {code}")


async def _status(scene: Scene, node: Node) -> int:
    answer = await node.http.get("/chats/", headers={"Authorization": f"Bearer {scene.token}"})
    return answer.status_code


async def take_all_connections(scene: Scene) -> None:
    """Somebody else has all connections that the database allows."""
    postgres, taken = scene.cluster.postgres, list[psycopg.Connection[object]]()
    until = asyncio.get_running_loop().time() + 2 * SECONDS
    for node in scene.cluster.nodes:
        node.database.cut()
    while asyncio.get_running_loop().time() < until:
        with suppress(psycopg.OperationalError):
            taken.append(await asyncio.to_thread(postgres.connect))
            continue
        await asyncio.sleep(0.1)
    for connection in taken:
        connection.close()


async def hold_a_snapshot(scene: Scene) -> None:
    """Somebody else's transaction lasts for long."""
    with scene.cluster.postgres.connect(DATABASE) as connection, connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.execute("SELECT count(*) FROM message")
        await scene.wait(5.0)


# The bus


async def kill_bus(scene: Scene) -> None:
    """The bus is down for a while. With NOTIFY the connections for it are cut and refused."""
    cluster = scene.cluster
    if cluster.nats is not None:
        await asyncio.to_thread(cluster.nats.stop)
        await scene.wait()
        scene.lift()
        await asyncio.to_thread(cluster.nats.start)
        return
    for node in cluster.nodes:
        node.bus.change(Weather(refuses=True))
        node.bus.cut()
    await scene.wait()
    for node in cluster.nodes:
        node.bus.change(FINE)


async def confuse_bus(scene: Scene) -> None:
    """What the bus carries comes late, twice and out of order."""
    for node in scene.cluster.nodes:
        node.bus.change(Weather(delay=0.1, jitter=0.4))
    async with AsyncExitStack() as stack:
        await _echo(scene, stack)
        await scene.wait(3.0)


async def _echo(scene: Scene, stack: AsyncExitStack) -> None:
    """Says again what the bus has carried, a moment later and in another order, until the stack is left."""
    cluster = scene.cluster
    if cluster.nats is None:
        listening = await asyncio.to_thread(cluster.postgres.connect, DATABASE)
        stack.callback(listening.close)
        listening.execute(f"LISTEN {CHANNEL}")
        echoing = asyncio.create_task(_echo_notifications(scene, listening))
        stack.callback(echoing.cancel)
        return
    client = await nats.connect(cluster.nats.url, no_echo=True)
    stack.push_async_callback(client.close)

    async def hear(message: Msg) -> None:
        again.create_task(say(message))

    async def say(message: Msg) -> None:
        await asyncio.sleep(scene.chance.uniform(0.0, 0.5))
        await client.publish(message.subject, message.data)

    again = await stack.enter_async_context(asyncio.TaskGroup())
    subject = NatsUpdates.__attrs_attrs__.subject.default
    subscription = await client.subscribe(f"{subject}.updates.*", cb=hear)
    stack.push_async_callback(subscription.unsubscribe)


async def _echo_notifications(scene: Scene, listening: "psycopg.Connection[object]") -> None:
    said: set[str] = set()
    while True:
        heard = [each.payload for each in listening.notifies(timeout=0)]
        scene.chance.shuffle(heard)
        for payload in heard:
            if payload not in said:
                said.add(payload)
                listening.execute("SELECT pg_notify(%s, %s)", [CHANNEL, payload])
        await asyncio.sleep(scene.chance.uniform(0.05, 0.2))


# Wires


async def flood_slow_readers(scene: Scene) -> None:
    for node in scene.cluster.nodes:
        node.clients.change(Weather(is_narrow=True))
        node.clients.cut()
    await scene.wait(1.0)
    await scene.flood()


async def partition_from_database(scene: Scene) -> None:
    weather = scene.chance.choice(
        [
            Weather(stops_up=True),
            Weather(stops_down=True),
            Weather(stops_up=True, stops_down=True),
            Weather(refuses=True),
        ]
    )
    wire = scene.node().database
    wire.change(weather)
    if weather.refuses:
        wire.cut()
    await scene.wait(4.0)
    wire.change(FINE)


async def lose_commits(scene: Scene) -> None:
    """What a node says or hears at the end of its transactions is lost, and the connections break."""
    weather = Weather(commits=scene.chance.choice(["held", "held", "unanswered"]))
    for _ in range(4):
        wire = scene.node().database
        wire.change(weather)
        async with asyncio.timeout(HANGS):
            while not wire.committing:  # noqa: ASYNC110 - the wire does not tell
                await asyncio.sleep(0.005)
        await scene.wait(0.2)
        wire.cut()
        wire.change(FINE)
        await scene.wait(0.3)


async def deafen_and_slow_down(scene: Scene) -> None:
    """The transactions of one node take long, and the others are not told of them."""
    slow = scene.node()
    deaf = [node for node in scene.cluster.nodes if node is not slow]
    for node in deaf:
        node.bus.change(Weather(refuses=True))
        node.bus.cut()
    slow.database.change(Weather(delay=0.15))
    await scene.wait(0.5)
    await scene.whisper(slow)
    slow.database.change(FINE)
    await scene.wait(0.5)
    for node in deaf:
        node.bus.change(FINE)


async def cut_off_proxy(scene: Scene) -> None:
    """What stands between clients and a node is gone for a while, and all connections through it."""
    wire = scene.node().clients
    wire.change(Weather(refuses=True))
    wire.cut()
    await scene.wait(1.0)
    scene.lift()
    wire.change(FINE)


async def partition_from_clients(scene: Scene) -> None:
    """Nothing is said any more between clients and a node, longer than either of them waits."""
    wire = scene.node().clients
    wire.change(Weather(stops_up=True, stops_down=True))
    await scene.wait(9.0)
    wire.change(FINE)


async def slow_down(scene: Scene) -> None:
    for node in scene.cluster.nodes:
        node.clients.change(Weather(delay=0.04, jitter=0.04, rate=64 * 1024))
        node.database.change(Weather(delay=0.02, jitter=0.02))
    await scene.wait(3.0)


async def _cut_within(scene: Scene, wires: Sequence[Wire], most: int) -> None:
    for wire in wires:
        wire.change(Weather(cut_within=most))
        wire.cut()
    await scene.wait(2.5)
    for wire in wires:
        wire.change(FINE)
        wire.cut()


async def cut_within_frames(scene: Scene) -> None:
    await _cut_within(scene, [node.clients for node in scene.cluster.nodes], 30_000)


async def cut_within_statements(scene: Scene) -> None:
    await _cut_within(scene, [scene.node().database], 100_000)


async def cut_anything(scene: Scene) -> None:
    """Connections of clients, of the database and of the bus break in the middle of what they carry."""
    await asyncio.gather(
        cut_within_frames(scene),
        cut_within_statements(scene),
        _cut_within(scene, [scene.node().bus], 20_000),
    )


# Mail


async def break_mail(scene: Scene) -> None:
    """
    The mail server is away, mute, full or dies after it took a letter. A request for a letter is answered as always. The
    letter comes later, perhaps twice, and its token is good once.
    """
    cluster, email = scene.cluster, scene.email
    cluster.sink.mails.clear()
    _spoil_mail(scene)
    node = scene.node()
    answer = await _post(node, "/accounts/password/reset/", {"email": email})
    if answer.status_code != httpx.codes.OK:
        scene.complain(f"F28: a letter was asked for, and the answer was {answer.status_code}")
    await scene.wait(3.0)
    cluster.heal()
    scene.lift()
    async with asyncio.timeout(HANGS):
        while not (mails := [mail for mail in cluster.sink.mails if email in mail.rcpt_tos]):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    content = mails[0].content
    assert isinstance(content, bytes)
    letter = BytesParser(EmailMessage, policy=policy.default).parsebytes(content)
    body = {"confirmationToken": token_in(letter), "fingerprint": "letter"}
    first, second = [
        (await _post(node, "/accounts/token/redeem/", body)).is_success for node in cluster.nodes
    ]
    if not first or second:
        scene.complain(f"F28: the token of a letter was good {first + second} times")


async def _post(node: Node, path: str, body: dict[str, str]) -> httpx.Response:
    """Over a new connection: one that was kept open may end just now, and the outcome would be unknown."""
    async with httpx.AsyncClient(base_url=node.url, timeout=PATIENCE) as http:
        return await http.post(path, json=body)


def _spoil_mail(scene: Scene) -> None:
    cluster = scene.cluster

    async def die() -> str:
        cluster.sink.hang_up()
        return "250 OK"

    async def hang() -> str:
        await asyncio.sleep(HANGS)
        return "250 OK"

    match scene.chance.randrange(5):
        case 0:
            cluster.mail.change(Weather(refuses=True))
        case 1:
            cluster.mail.change(Weather(stops_up=True, stops_down=True))
        case 2:
            cluster.sink.answers["MAIL"] = says("421 come back later")
        case 3:
            cluster.sink.answers["DATA"] = hang
        case _:
            cluster.sink.answers["DATA"] = die


# Machines


async def starve(scene: Scene) -> None:
    """Others want the processors."""
    busy = [
        await asyncio.create_subprocess_exec("sh", "-c", "while :; do :; done")
        for _ in range(2 * (psutil.cpu_count() or 1))
    ]
    try:
        await scene.wait(4.0)
    finally:
        for process in busy:
            process.kill()
            await process.wait()


async def exhaust_descriptors(scene: Scene) -> None:
    """A node may open no more files and connections."""
    node = scene.node()
    assert node.server.process is not None
    process = psutil.Process(node.server.process.pid)
    before = process.rlimit(psutil.RLIMIT_NOFILE)
    process.rlimit(psutil.RLIMIT_NOFILE, (process.num_fds() + 2, before[1]))
    opened = []
    for _ in range(40):
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(1.0):
                opened.append((await asyncio.open_connection("127.0.0.1", node.server.port))[1])
    await scene.wait()
    for writer in opened:
        writer.transport.abort()
    process.rlimit(psutil.RLIMIT_NOFILE, before)


# Two at once


async def double(scene: Scene) -> None:
    """Two of the faults that hurt most, at the same time or nearly so."""
    pair = scene.chance.sample(
        [kill_node, kill_postgres, kill_bus, partition_from_database, cut_within_frames], 2
    )

    async def later(inject: Inject) -> None:
        await asyncio.sleep(scene.chance.uniform(0.0, 1.0))
        await inject(scene)

    await asyncio.gather(*map(later, pair))
    scene.lifted = None


def is_running(pid: int) -> bool:
    try:
        return lives(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return False


def surviving(scene: Scene) -> list[str]:
    """Nodes that have ended, though nobody ended them."""
    ended = []
    for node in scene.cluster.nodes:
        process = node.server.process
        if node not in scene.may_end and (process is None or not is_running(process.pid)):
            ended.append(node.name)
    return ended


FAULTS: Final = (
    Fault(name="F1", title="a node is killed", inject=kill_node),
    Fault(name="F2", title="a node is killed between COMMIT and its announcement", inject=kill_behind_commit),
    Fault(name="F3", title="a node is killed before COMMIT", inject=kill_before_commit),
    Fault(name="F4", title="a node stands still for 6 s", inject=freeze_node, is_default=False),
    Fault(name="F5", title="a node is told to end", inject=stop_node),
    Fault(name="F6", title="rolling restart", inject=restart_rolling),
    Fault(
        name="F7",
        title=f"the node with all sockets is killed, {CROWD} of which only listen",
        inject=reconnect_storm,
    ),
    Fault(name="F8", title="PostgreSQL is killed", inject=kill_postgres),
    Fault(name="F9", title="PostgreSQL is restarted", inject=restart_postgres, is_default=False),
    Fault(name="F10", title="PostgreSQL stands still for 3 s", inject=freeze_postgres),
    Fault(name="F13", title="answers of the database take a second", inject=exhaust_pools),
    Fault(
        name="F14",
        title="others have all connections to PostgreSQL",
        inject=take_all_connections,
        is_default=False,
    ),
    Fault(name="F15", title="the bus is killed", inject=kill_bus),
    Fault(name="F16", title="the bus is late, doubles and reorders", inject=confuse_bus),
    Fault(
        name="F17",
        title="slow readers in a flood",
        inject=flood_slow_readers,
    ),
    Fault(name="F18", title="a node cannot reach PostgreSQL for 4 s", inject=partition_from_database),
    Fault(
        name="F19",
        title="clients and a node hear nothing of each other for 9 s",
        inject=partition_from_clients,
    ),
    Fault(name="F22", title="slow wires", inject=slow_down),
    Fault(name="F23", title="connections are cut in the middle of a frame", inject=cut_anything),
    Fault(name="F24", title="a node may open no more files", inject=exhaust_descriptors, is_default=False),
    Fault(name="F26", title="others want the processors", inject=starve, is_default=False),
    Fault(name="F28", title="the mail server is away or mute, or dies over a letter", inject=break_mail),
    Fault(name="F32", title="somebody's transaction lasts 5 s", inject=hold_a_snapshot, is_default=False),
    Fault(name="proxy", title="the proxy in front of a node is killed", inject=cut_off_proxy),
    Fault(name="lost commit", title="COMMIT or its answer is lost", inject=lose_commits),
    Fault(
        name="slow and deaf",
        title="a node is deaf while another one's transactions take long",
        inject=deafen_and_slow_down,
    ),
    Fault(name="F34", title="two faults at once", inject=double),
)

BY_NAME: Final = {fault.name: fault for fault in FAULTS}
