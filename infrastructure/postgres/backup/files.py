"""Files of dumps: readable by their owner only, and complete or not there at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

PRIVATE: Final = 0o600


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """
    Opens a file that gets its name when the block ends without an exception, and its contents are on disk by then. Until then
    it has no name at all where the file system permits that, so that nothing is left behind even by a kill, or else a
    temporary name beside ``path``.

    Raises:
        FileExistsError: There is a file of this name already. It stays unchanged.
        OSError: The folder does not exist, or cannot be written to.
    """
    if path.exists():
        raise FileExistsError(path)
    try:
        descriptor = os.open(path.parent, os.O_WRONLY | os.O_TMPFILE, PRIVATE)
    except OSError:
        with _named_file(path) as file:
            yield file
        return
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, PRIVATE)
        yield file
        _save(file)
        with _opened(path.parent) as folder:
            # Fails if another file has got the name meanwhile. Python follows the link only if it is given a folder.
            os.link(f"/proc/self/fd/{descriptor}", path.name, dst_dir_fd=folder, follow_symlinks=True)
            os.fsync(folder)


@contextmanager
def _named_file(path: Path) -> Iterator[BinaryIO]:
    near = path.with_name(f".{path.name}.{os.getpid()}.partial")
    descriptor = os.open(near, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, PRIVATE)
            yield file
            _save(file)
        try:
            os.link(near, path)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            near.rename(path)
    finally:
        with suppress(FileNotFoundError):
            near.unlink()
    with _opened(path.parent) as folder:
        os.fsync(folder)


def _save(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
