"""Devices with the JavaScript client: all of them in one program of node, `node_device.js`, which is told what to do."""

import asyncio
import itertools
import json
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from attrs import define, field
from typing_extensions import override

from tests.system.device import PASSWORD, Device, Observer, Status

HERE: Final = Path(__file__).parent
WEBSOCKET: Final = HERE.parents[1] / ".venv" / "clients" / "node" / "node_modules" / "ws" / "wrapper.mjs"

LINE_MOST: Final = 64 * 1024 * 1024
"""Bytes of the longest line that the program may write."""


@define(eq=False)
class Program:
    """The program that runs, to which lines of JSON are written, and which answers and reports by lines of JSON."""

    process: asyncio.subprocess.Process
    devices: dict[str, "NodeDevice"] = field(factory=dict)
    _asked: dict[int, asyncio.Future[Any]] = field(factory=dict)
    _numbers: "itertools.count[int]" = field(factory=itertools.count)
    _is_over: bool = False

    def tell(self, device: str, do: str, **fields: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"device": device, "do": do, **fields}).encode() + b"\n")

    async def ask(self, device: str, do: str, **fields: Any) -> Any:
        if self._is_over:
            raise EOFError("node has ended")
        number = next(self._numbers)
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        self.tell(device, do, number=number, **fields)
        return await answer

    async def read(self) -> None:
        """Takes what the program writes, until it ends."""
        assert self.process.stdout is not None
        try:
            while line := await self.process.stdout.readline():
                told = json.loads(line)
                if "number" in told:
                    answer = self._asked.pop(told["number"])
                    if not answer.done():  # who asked may have been cancelled
                        answer.set_result(told["answer"])
                else:
                    self.devices[told["device"]].told(told)
        finally:
            self._is_over = True
            for answer in self._asked.values():
                if not answer.done():
                    answer.set_exception(EOFError("node has ended"))


@define(eq=False, kw_only=True)
class NodeDevice(Device):
    program: Program
    texts: Mapping[str, str] = field(factory=dict)
    """What the storage of the next client holds."""
    _observer: Observer = field(init=False)
    _ids: "itertools.count[int]" = field(factory=itertools.count)

    def told(self, told: dict[str, Any]) -> None:
        match told:
            case {"report": "opened"}:
                self._observer.opened(has_cursor=told["has_cursor"], is_behind=told["is_behind"])
            case {"report": "ended"}:
                self._observer.ended(told["code"], is_break=told["is_break"])
            case {"report": "heard"}:
                self._observer.heard(told["text"])
            case {"report": "wrote"}:
                self._observer.wrote(told["text"])
            case {"report": "handled"}:
                self.handle(told["chat"], told["seq"])
            case _:
                raise ValueError(f"no report: {told}")

    @override
    async def _begin(self) -> None:
        self._observer = Observer(self.record, self.name, self.profile, is_restored=self.life > 1)
        self.program.devices[self.name] = self
        await self.program.ask(
            self.name,
            "begin",
            url=self.url,
            email=self.email,
            password=PASSWORD,
            texts=dict(self.texts),
            seed=self.chance.randrange(2**31),
        )

    @override
    async def end(self) -> None:
        await self.program.ask(self.name, "end")

    @override
    async def send(self, chat: str, text: str) -> None:
        nonce = f"{self.name} {self.life} {next(self._ids)}"
        self.program.tell(self.name, "send", chat=chat, text=text, nonce=nonce)

    @override
    def cut(self) -> None:
        self.program.tell(self.name, "cut")

    @override
    async def status(self) -> Status:
        return Status(**await self.program.ask(self.name, "status"))

    @override
    async def messages(self, chat: str) -> list[str]:
        held: list[str] = await self.program.ask(self.name, "messages", chat=chat)
        return held

    @override
    async def stored(self) -> Mapping[str, str]:
        texts: dict[str, str] = await self.program.ask(self.name, "stored")
        return texts

    @override
    def restore(self, stored: Mapping[str, str]) -> None:
        self.texts = stored


@asynccontextmanager
async def node_devices(folder: Path) -> AsyncIterator[partial[NodeDevice]]:
    """
    Starts the program, and returns what makes devices of it.

    :raises RuntimeError: at the end, if the program has written an error: the client reports those of its listeners and storages
    """
    errors = folder / "node.log"
    with errors.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            shutil.which("node") or "node",
            HERE / "node_device.js",
            WEBSOCKET.as_uri(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
            limit=LINE_MOST,
        )
    program = Program(process)
    reading = asyncio.create_task(program.read())
    try:
        yield partial(NodeDevice, program=program)
    finally:
        process.kill()
        await process.wait()
        await asyncio.wait([reading])
        if said := errors.read_text():
            raise RuntimeError(said)
    reading.result()
