"""The port for everything that must survive a client, and its adapters for memory and for a file."""

import asyncio
import json
import os
import threading
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from messenger_client.errors import StorageDamaged


class Storage(Protocol):
    """Texts by name."""

    async def load(self) -> dict[str, str]:
        """
        Return everything that is stored. It is called once, before anything is saved.

        Raises:
            StorageDamaged: What is stored cannot be read.
        """
        ...

    async def save(self, changes: Mapping[str, str | None]) -> None:
        """
        Replace some texts, where None deletes: all of them or none. Returns when they survive a loss of power. It is not called
        again before it has returned.
        """
        ...

    async def close(self) -> None:
        """Give up what is held open. The client calls it at its end."""
        ...


class MemoryStorage:
    """Forgets everything with the process. Hand it to the next client to continue within the process."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    async def load(self) -> dict[str, str]:
        return dict(self.texts)

    async def save(self, changes: Mapping[str, str | None]) -> None:
        _apply(self.texts, changes)

    async def close(self) -> None:
        pass


class FileStorage:
    """
    One file, to which every save appends a line that is synced to the disk; now and then it is written anew.

    The file belongs to its user alone (mode 600), because it holds a refresh token, and to one client at a time. A line that
    was cut off by a crash at the end of the file was never promised to anybody, and is ignored.

    Args:
        path: The file. It is made if there is none.
        slack: Bytes by which the file may exceed twice what is stored before it is written anew.
    """

    def __init__(self, path: str | os.PathLike[str], *, slack: int = 256 * 1024) -> None:
        self._path = Path(path)
        self._slack = slack
        self._texts: dict[str, str] = {}
        self._size = 0
        self._file: int | None = None
        self._lock = threading.Lock()
        """A save goes on in its thread after the caller was cancelled."""

    async def load(self) -> dict[str, str]:
        return await asyncio.to_thread(self._load)

    async def save(self, changes: Mapping[str, str | None]) -> None:
        await asyncio.to_thread(self._save, changes)

    async def close(self) -> None:
        with self._lock:
            if self._file is not None:
                os.close(self._file)
                self._file = None

    def _load(self) -> dict[str, str]:
        self._texts = {}
        lines = self._path.read_bytes().split(b"\n") if self._path.exists() else [b""]
        *whole, _ = lines  # the part behind the last end of a line is nothing, or was cut off
        for number, line in enumerate(whole, 1):
            changes = _read_line(line)
            if changes is not None:
                _apply(self._texts, changes)
            elif number < len(whole):
                raise StorageDamaged(f"line {number} of {self._path} cannot be read")
        self._rewrite()
        return dict(self._texts)

    def _save(self, changes: Mapping[str, str | None]) -> None:
        with self._lock:
            self._append(changes)

    def _append(self, changes: Mapping[str, str | None]) -> None:
        _apply(self._texts, changes)
        line = _line(changes)
        if self._file is None or self._size + len(line) > 2 * self._least() + self._slack:
            self._rewrite()
            return
        _write_all(self._file, line)
        os.fsync(self._file)
        self._size += len(line)

    def _least(self) -> int:
        return sum(len(name) + len(text) for name, text in self._texts.items())

    def _rewrite(self) -> None:
        """Under another name first: at every moment one of both files is whole."""
        beside = self._path.with_name(f"{self._path.name}.new")
        line = _line(self._texts)
        file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        try:
            _write_all(file, line)
            os.fsync(file)
            beside.replace(self._path)
            _sync_folder(self._path.parent)
        except BaseException:
            os.close(file)
            raise
        if self._file is not None:
            os.close(self._file)
        self._file, self._size = file, len(line)


def _apply(texts: dict[str, str], changes: Mapping[str, str | None]) -> None:
    for name, text in changes.items():
        if text is None:
            texts.pop(name, None)
        else:
            texts[name] = text


def _line(changes: Mapping[str, str | None]) -> bytes:
    """A checksum and JSON. JSON has no line breaks outside of texts, where it escapes them."""
    text = json.dumps(changes, ensure_ascii=False, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _read_line(line: bytes) -> Mapping[str, str | None] | None:
    checksum, _, text = line.partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    changes = json.loads(text)
    return changes if isinstance(changes, dict) else None


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _sync_folder(folder: Path) -> None:
    try:
        opened = os.open(folder, os.O_RDONLY)
    except OSError:  # some systems cannot open folders, and need not
        return
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
