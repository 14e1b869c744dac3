"""What the client's storages promise, and what a crash leaves of a file."""

import asyncio
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messenger_client import FileStorage, MemoryStorage, Storage, StorageDamaged

names = st.sampled_from(["place", "chat:1", "send:000000000001"])
texts = st.text(st.characters(codec="utf-8"), max_size=20)
saves = st.lists(st.dictionaries(names, st.none() | texts, max_size=3), max_size=8)


def applied(changes: Sequence[Mapping[str, str | None]]) -> dict[str, str]:
    merged: dict[str, str | None] = {}
    for each in changes:
        merged.update(each)
    return {name: text for name, text in merged.items() if text is not None}


@pytest.fixture(params=["memory", "file"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Storage]:
    """Makes a storage that holds what the one before it held."""
    memory = MemoryStorage()
    return (lambda: memory) if request.param == "memory" else (lambda: FileStorage(tmp_path / "kept"))


async def test_what_was_saved_is_loaded_by_the_next(storage: Callable[[], Storage]) -> None:
    first = storage()
    assert await first.load() == {}
    await first.save({"place": "1", "session": "a\nb"})
    await first.save({"place": None, "chat:1": "Привет"})
    await first.close()
    second = storage()
    assert await second.load() == {"session": "a\nb", "chat:1": "Привет"}
    await second.close()


@given(done=saves, cut=st.integers(0, 10**6), slack=st.sampled_from([0, 200, 10**6]))
def test_a_file_holds_what_was_saved_up_to_a_crash(
    done: list[dict[str, str | None]], cut: int, slack: int
) -> None:
    """The last save may be cut off at any byte; it is there or not, and all others are there."""

    async def run(folder: Path) -> None:
        path = folder / "kept"
        storage = FileStorage(path, slack=slack)
        await storage.load()
        before = after = path.stat()
        for changes in done:
            before = path.stat()
            await storage.save(changes)
            after = path.stat()
        await storage.close()
        expected = applied(done)
        if after.st_ino == before.st_ino:  # else it was written anew, which is atomic
            end = before.st_size + cut % (after.st_size - before.st_size + 1)
            path.write_bytes(path.read_bytes()[:end])
            if end < after.st_size:
                expected = applied(done[:-1])
        following = FileStorage(path)
        assert await following.load() == expected
        await following.save({"place": "later"})
        await following.close()
        last = FileStorage(path)
        assert await last.load() == expected | {"place": "later"}
        await last.close()

    with TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))


async def test_a_file_stays_small(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path / "kept", slack=1000)
    await storage.load()
    for number in range(500):
        await storage.save({"place": f"{number}"})
    await storage.close()
    assert (tmp_path / "kept").stat().st_size < 1500
    assert not (tmp_path / "kept.new").exists()


async def test_a_file_is_for_its_user_alone(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path / "kept")
    await storage.load()
    await storage.save({"session": "secret"})
    await storage.close()
    assert stat.S_IMODE((tmp_path / "kept").stat().st_mode) == 0o600


async def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    storage = FileStorage(path)
    await storage.load()
    await storage.save({"place": "1"})
    await storage.save({"place": "2"})
    await storage.close()
    path.write_bytes(path.read_bytes().replace(b'"1"', b'"7"'))
    with pytest.raises(StorageDamaged, match="line 2 of"):
        await FileStorage(path).load()
