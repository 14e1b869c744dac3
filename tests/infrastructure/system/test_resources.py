import resource
import subprocess
import sys

import pytest

from infrastructure.system.resources import raise_descriptor_limit, trim_memory

RAISED = """
import resource
from infrastructure.system.resources import raise_descriptor_limit
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
print(raise_descriptor_limit(), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize(("soft", "hard", "there_are"), [(256, 512, 512), (512, 512, 512)])
def test_as_many_descriptors_as_the_hard_limit_allows(soft: int, hard: int, there_are: int) -> None:
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[1] >= hard
    code = RAISED.format(soft=soft, hard=hard)
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.split() == [str(there_are)] * 2


def test_a_limit_that_cannot_be_raised_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 512))
    monkeypatch.setattr(resource, "setrlimit", forbidden)
    assert raise_descriptor_limit() == 256


MEASURED = """
import psutil
from infrastructure.system.resources import trim_memory
me = psutil.Process()
kept = [bytes(16_000) for _ in range(8000)]
held = me.memory_info().rss
kept.clear()
trim_memory()
print(held - me.memory_info().rss)
"""


def test_memory_is_returned() -> None:
    trim_memory()
    said = subprocess.run([sys.executable, "-c", MEASURED], capture_output=True, text=True, check=True)
    assert int(said.stdout) > 100_000_000
