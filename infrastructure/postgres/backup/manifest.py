"""
The manifest at the end of a dump: what the dump should contain.

A dump is an archive of `pg_dump` in its custom format, followed by the manifest and a line that locates it. `pg_restore`
ignores what follows its archive, so it reads these files as they are. Everything is written in one pass, which also works
into a pipe, and a truncated file is recognised by its missing last line.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from io import SEEK_END, SEEK_SET
from typing import Any, BinaryIO, Final

from attrs import asdict, frozen

FORMAT: Final = 1

_LAST_LINE: Final = re.compile(rb"messenger-dump (\d{2}) (\d{10}) ([0-9a-f]{64})\n")
_LAST_LINE_BYTES: Final = len("messenger-dump ") + 2 + 1 + 10 + 1 + 64 + 1

_PIECE: Final = 1 << 20


class BadDump(Exception):
    """The file is not a dump, or it is damaged. The message says what is wrong, in words that follow the file's name."""


@frozen(kw_only=True)
class Manifest:
    made_at: str
    """ISO 8601 in UTC."""
    messenger: str
    """The version of the messenger that made the dump."""
    server: int
    """The major version of the PostgreSQL server."""
    tools: int
    """The major version of ``pg_dump``. Older versions of ``pg_restore`` cannot read the archive."""
    schema: str
    revisions: Sequence[str]
    """The revision of each line of migrations, sorted."""
    generation: str
    """The line of history that the dump is a part of; a restored database begins another."""
    tables: Mapping[str, int]
    """The number of rows by table."""
    size: int
    """Bytes of the archive."""
    sha256: str
    """The hash of the archive."""

    @property
    def rows(self) -> int:
        return sum(self.tables.values())

    def written(self) -> bytes:
        """Returns the bytes that follow the archive."""
        content = json.dumps(asdict(self), indent=1).encode()
        digest = hashlib.sha256(content).hexdigest()
        return content + f"\nmessenger-dump {FORMAT:02} {len(content):010} {digest}\n".encode()


def read_manifest(file: BinaryIO) -> Manifest:
    """
    Reads the manifest of a dump and compares the archive with it. ``file`` must be seekable.

    Raises:
        BadDump: This is no dump, or it is damaged or incomplete.
    """
    end = file.seek(0, SEEK_END)
    file.seek(max(0, end - _LAST_LINE_BYTES), SEEK_SET)
    found = _LAST_LINE.fullmatch(file.read())
    if found is None:
        file.seek(0)
        if file.read(5) == b"PGDMP":
            raise BadDump(
                "is incomplete, or was not made by `messenger db dump`: its end is missing. `pg_restore` restores archives of"
                " `pg_dump`; run `messenger db adopt` after it"
            )
        raise BadDump("is not a dump of the messenger")
    if int(found[1]) != FORMAT:
        raise BadDump("was made by a newer version of the messenger, in a format that this one cannot read")
    start = end - _LAST_LINE_BYTES - 1 - int(found[2])
    manifest = _parsed(_section(file, start, int(found[2])), found[3].decode())
    if manifest.size != start or _hash(file, manifest.size) != manifest.sha256:
        raise BadDump("is damaged: its contents do not match their checksum")
    file.seek(0)
    return manifest


def _section(file: BinaryIO, start: int, length: int) -> bytes:
    if start < 0:
        return b""
    file.seek(start, SEEK_SET)
    return file.read(length)


def _parsed(content: bytes, digest: str) -> Manifest:
    if hashlib.sha256(content).hexdigest() != digest:
        raise BadDump("is damaged: its manifest does not match its checksum")
    fields: dict[str, Any] = json.loads(content)
    return Manifest(**fields)


def _hash(file: BinaryIO, length: int) -> str:
    file.seek(0)
    digest = hashlib.sha256()
    while length > 0 and (piece := file.read(min(length, _PIECE))):
        digest.update(piece)
        length -= len(piece)
    return digest.hexdigest()
