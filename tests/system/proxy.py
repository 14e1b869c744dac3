"""
A proxy between the messenger and its PostgreSQL that can stop time at a chosen statement.

It knows as much of the protocol as it needs to tell statements apart, also where they were prepared. It runs in threads
of its own, so that it goes on while a test waits for something without an event loop.
"""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Literal

from attrs import define, field

PATIENCE = 60.0
"""Seconds after which something hangs."""

ENCRYPTION_REQUESTS = (80877103, 80877104)
"""SSLRequest and GSSENCRequest: the two packets after which the real start is still to come."""

Action = Literal["hold", "swallow"]


@define(eq=False)
class Rule:
    """
    Concerns one statement of one connection, the next that says ``statement``: ``hold`` keeps it and what follows back,
    ``swallow`` lets it through and keeps back what the database answers.
    """

    statement: str
    action: Action
    caught: threading.Event = field(factory=threading.Event)
    released: threading.Event = field(factory=threading.Event)
    pipe: "Pipe | None" = None

    def await_caught(self) -> None:
        assert self.caught.wait(PATIENCE), f"{self.statement} never came"

    def release(self) -> None:
        self.released.set()

    def cut(self) -> None:
        """Ends that connection on both sides; what was kept back is never said."""
        assert self.pipe is not None
        self.pipe.close()
        self.released.set()


@define(eq=False)
class Messages:
    """Cuts what a client says into messages; the first ones, before it has said who it is, have no type."""

    _waiting: bytes = b""
    _started: bool = False
    _prepared: dict[bytes, str] = field(factory=dict)

    def feed(self, chunk: bytes) -> Iterator[tuple[bytes, str | None]]:
        """Each whole message with the statement that it executes, if it does."""
        self._waiting += chunk
        while True:
            head = 1 if self._started else 0
            if len(self._waiting) < head + 4:
                return
            (length,) = struct.unpack_from("!i", self._waiting, head)
            if len(self._waiting) < head + length:
                return
            message, self._waiting = self._waiting[: head + length], self._waiting[head + length :]
            if self._started:
                yield message, self._executed(message[:1], message[5:])
            else:
                self._started = struct.unpack_from("!i", message, 4)[0] not in ENCRYPTION_REQUESTS
                yield message, None

    def _executed(self, kind: bytes, body: bytes) -> str | None:
        match kind:
            case b"Q":
                return body.rstrip(b"\0").decode()
            case b"P":
                name, text, *_ = body.split(b"\0")
                self._prepared[name] = text.decode()
            case b"B":
                _, name, *_ = body.split(b"\0", 2)
                return self._prepared.get(name)
        return None


@define(eq=False)
class Pipe:
    """One connection, both ways."""

    client: socket.socket
    server: socket.socket
    muted_by: Rule | None = None
    closed: bool = False

    def close(self) -> None:
        self.closed = True
        for end in (self.client, self.server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@define(eq=False)
class Proxy:
    """Listens on ``port`` for as long as it is open."""

    target: int
    _listener: socket.socket = field(init=False)
    _rules: list[Rule] = field(factory=list, init=False)
    _pipes: list[Pipe] = field(factory=list, init=False)
    _threads: list[threading.Thread] = field(factory=list, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    def __attrs_post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._spawn(self._accept)

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    @contextmanager
    def rule(self, statement: str, action: Action) -> Iterator[Rule]:
        """At the end of the block everything that is still kept back is released."""
        made = Rule(statement, action)
        with self._lock:
            self._rules.append(made)
        try:
            yield made
        finally:
            made.release()
            with self._lock, suppress(ValueError):
                self._rules.remove(made)

    def close(self) -> None:
        """Ends every connection through it."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            pipes = list(self._pipes)
        for pipe in pipes:
            pipe.close()
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()

    def _spawn(self, target: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                client.close()  # as the database itself would refuse
                continue
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pipe = Pipe(client, server)
            with self._lock:
                self._pipes.append(pipe)
            self._spawn(self._carry, pipe)

    def _carry(self, pipe: Pipe) -> None:
        """Both ways until both have ended, so that each socket is closed once and by one."""
        answers = threading.Thread(target=self._down, args=(pipe,), daemon=True)
        answers.start()
        self._up(pipe)
        answers.join()
        pipe.client.close()
        pipe.server.close()

    def _claim(self, statement: str | None, pipe: Pipe) -> Rule | None:
        with self._lock:
            for rule in self._rules:
                if rule.statement == statement:
                    self._rules.remove(rule)
                    rule.pipe = pipe
                    return rule
        return None

    def _up(self, pipe: Pipe) -> None:
        messages = Messages()
        with suppress(OSError):
            while chunk := pipe.client.recv(65536):
                ready = b""
                for message, statement in messages.feed(chunk):
                    if rule := self._claim(statement, pipe):
                        if rule.action == "hold":
                            pipe.server.sendall(ready)
                            ready = b""
                            rule.caught.set()
                            rule.released.wait()
                        else:
                            pipe.muted_by = rule
                    ready += message
                pipe.server.sendall(ready)
                if pipe.muted_by is not None:
                    pipe.muted_by.caught.set()
        self._end(pipe.server, pipe)

    def _down(self, pipe: Pipe) -> None:
        with suppress(OSError):
            while chunk := pipe.server.recv(65536):
                if pipe.muted_by is not None:
                    pipe.muted_by.released.wait()
                    pipe.muted_by = None
                if pipe.closed:
                    break
                pipe.client.sendall(chunk)
        self._end(pipe.client, pipe)

    def _end(self, other: socket.socket, pipe: Pipe) -> None:
        """One side has no more to say: the other is told so, as a plain wire would."""
        with suppress(OSError):
            other.shutdown(socket.SHUT_RDWR if pipe.closed else socket.SHUT_WR)
