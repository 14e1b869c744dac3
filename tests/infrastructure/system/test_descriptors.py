import resource
import subprocess
import sys

import pytest

from infrastructure.system.descriptors import raise_descriptor_limit

RAISED = """
import resource
from infrastructure.system.descriptors import raise_descriptor_limit
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
