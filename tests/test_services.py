import pytest

from tests import services
from tests.architecture.test_tidiness import ROOT


@pytest.fixture
def without_a_program(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(services, "PACKAGES", {"no-such-program": "its-package"})
    return "no-such-program"


def test_a_missing_program_fails_in_ci(without_a_program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=r"no no-such-program .*apt-get install its-package"):
        services.require(without_a_program)


def test_elsewhere_it_skips_and_says_what_to_install(
    without_a_program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get install its-package"):
        services.require(without_a_program)


def test_a_program_that_is_there_is_no_reason() -> None:
    services.require()
    assert services.program("sh") is not None


def test_ci_installs_every_program() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert "export CI=" in script
    assert [name for name, package in services.PACKAGES.items() if f"[{name}]={package}" not in script] == []
