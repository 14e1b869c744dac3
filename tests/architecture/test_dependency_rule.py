"""
The dependency rule: contracts of import-linter, and lists of what may be imported at all, which no new library slips
through. Each check is shown a violation too.
"""

import shutil
import sys
from pathlib import Path

import pytest
from grimp import ImportGraph, build_graph
from importlinter.cli import lint_imports

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("domain", "application", "infrastructure", "interfaces", "config")

DOMAIN = {
    "attrs",
    "bisect",
    "collections",
    "datetime",
    "domain",
    "enum",
    "functools",
    "idna",
    "ipaddress",
    "itertools",
    "math",
    "re",
    "typing",
    "unicodedata",
    "uuid",
}
APPLICATION = DOMAIN | {"application", "contextlib"}


@pytest.fixture(autouse=True)
def loggers_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """import-linter's command line sets up logging for the whole process, and switches the loggers of others off."""
    monkeypatch.setattr("importlinter.cli._configure_logging", lambda verbose: None)


@pytest.fixture(scope="module")
def house() -> ImportGraph:
    return build_graph(*LAYERS, include_external_packages=True, cache_dir=None)


def strangers(graph: ImportGraph, layer: str, allowed: set[str]) -> set[tuple[str, str]]:
    """Who in the layer imports what is not allowed there."""
    return {
        (module, imported)
        for module in {layer} | graph.find_descendants(layer)
        for imported in graph.find_modules_directly_imported_by(module)
        if imported.partition(".")[0] not in allowed
    }


def neighbours(graph: ImportGraph, layer: str, *, apart_from: set[str]) -> set[tuple[str, str]]:
    """Imports from one sub-package of the layer into another."""
    features = {child for child in graph.find_children(layer) if graph.find_children(child)} - apart_from
    return {
        (module, imported)
        for feature in features
        for module in {feature} | graph.find_descendants(feature)
        for imported in graph.find_modules_directly_imported_by(module)
        if any(imported == other or imported.startswith(f"{other}.") for other in features - {feature})
    }


def test_contracts(capsys: pytest.CaptureFixture[str]) -> None:
    status = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True, no_logo=True)
    assert status == 0, capsys.readouterr().out


def test_the_domain_imports_little(house: ImportGraph) -> None:
    assert strangers(house, "domain", DOMAIN) == set()


def test_the_application_imports_little_more(house: ImportGraph) -> None:
    assert strangers(house, "application", APPLICATION) == set()


def test_features_share_through_the_domain_and_the_ports(house: ImportGraph) -> None:
    found = neighbours(house, "application", apart_from={"application.ports"})
    # Examples are told through the use cases of others, which know nothing of them.
    assert {pair for pair in found if not pair[0].startswith("application.examples.")} == set()


class TestSeesViolations:
    @pytest.fixture
    def other_house(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ImportGraph:
        files = {
            "planted/__init__.py": "",
            "planted/pure.py": "from collections.abc import Sequence\nfrom planted.one.deed import deed\n",
            "planted/one/__init__.py": "",
            "planted/one/deed.py": "from planted.ports.clock import clock\ndef deed():\n    import socket\n",
            "planted/two/__init__.py": "",
            "planted/two/deed.py": "import planted.one.deed\nimport asyncio.events\n",
            "planted/ports/__init__.py": "",
            "planted/ports/clock.py": "clock = None\n",
        }
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        return build_graph("planted", include_external_packages=True, cache_dir=None)

    def test_a_stranger(self, other_house: ImportGraph) -> None:
        assert strangers(other_house, "planted", {"planted", "collections"}) == {
            ("planted.one.deed", "socket"),
            ("planted.two.deed", "asyncio"),
        }

    def test_a_neighbour(self, other_house: ImportGraph) -> None:
        assert neighbours(other_house, "planted", apart_from={"planted.ports"}) == {
            ("planted.two.deed", "planted.one.deed")
        }

    @pytest.mark.parametrize(
        ("module", "line", "broken"),
        [
            ("domain/planted.py", "import attrs", "Contracts: 5 kept, 0 broken."),
            ("domain/planted.py", "import application", "Dependencies point inwards BROKEN"),
            (
                "interfaces/planted.py",
                "import infrastructure.memory",
                "named only where they are chosen BROKEN",
            ),
            ("interfaces/planted.py", "import dependency_injector", "knows the container library BROKEN"),
            ("infrastructure/memory/planted.py", "import infrastructure.postgres", "know one another BROKEN"),
        ],
    )
    def test_a_broken_contract_and_only_that(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        module: str,
        line: str,
        broken: str,
    ) -> None:
        """In a house of the same rooms, so that this one stays untouched."""
        for layer in (*LAYERS, "infrastructure/memory", "infrastructure/postgres"):
            (tmp_path / layer).mkdir()
            (tmp_path / layer / "__init__.py").touch()
        shutil.copy(ROOT / "pyproject.toml", tmp_path)
        (tmp_path / module).write_text(f"{line}\n")
        monkeypatch.chdir(tmp_path)
        with monkeypatch.context() as patch:
            for name in [name for name in sys.modules if name.partition(".")[0] in LAYERS]:
                patch.delitem(sys.modules, name)
            patch.syspath_prepend(tmp_path)
            status = lint_imports(config_filename="pyproject.toml", no_cache=True, no_logo=True)
        assert status == (0 if line == "import attrs" else 1)
        assert broken in capsys.readouterr().out
