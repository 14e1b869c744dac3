"""
The files of the web client as they are served: under a path with a digest of all of them, so that browsers may keep them
forever, and compressed once for all readers.
"""

import gzip
from collections.abc import Mapping
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Final

import brotli
from attrs import define, field, frozen

FOLDERS: Final = ("style", "web/static", "clients/javascript")
"""Folders of `interfaces` whose files are served, under the same relative paths: modules import each other by them."""

KINDS: Final[Mapping[str, str]] = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
"""The media types of what is served, by the ending of the name. Other files of the folders are not served."""

ENCODINGS: Final = ("br", "gzip")
"""Encodings in order of preference."""


@define(eq=False, slots=False)
class File:
    content: bytes
    media_type: str

    @property
    def is_compressed(self) -> bool:
        """Whether `encoded` returns at once."""
        return "_compressed" in self.__dict__

    @cached_property
    def _compressed(self) -> Mapping[str, bytes]:
        return {
            "br": brotli.compress(self.content, quality=11),
            "gzip": gzip.compress(self.content, compresslevel=9, mtime=0),
        }

    def encoded(self, encoding: str | None) -> bytes:
        """Return the content in an encoding of `ENCODINGS`. The first call compresses, which takes some milliseconds."""
        return self.content if encoding is None else self._compressed[encoding]


@frozen
class Files:
    by_path: Mapping[str, File] = field(factory=dict)
    digest: str = ""

    @classmethod
    def read(cls, root: Path) -> "Files":
        """Read `FOLDERS` below ``root``."""
        found = {
            path.relative_to(root).as_posix(): File(path.read_bytes(), KINDS[path.suffix])
            for folder in FOLDERS
            for path in sorted((root / folder).rglob("*"))
            if path.suffix in KINDS and path.is_file()
        }
        digest = blake2b(digest_size=9)
        for name, file in found.items():
            digest.update(f"{name}\0{len(file.content)}\0".encode())
            digest.update(file.content)
        return cls(found, digest.hexdigest())

    def modules(self) -> list[str]:
        """Return the paths of the scripts, so that a page can ask for all of them at once."""
        return [path for path in self.by_path if path.endswith(".js")]
