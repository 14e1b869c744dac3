"""
The Dockerfile and the two docker-compose files, as far as they can be checked without an engine: what they name is there, what
the program needs is in the image, no process has the rights of root, and the settings are settings.
"""

import json
import re
import shlex
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import pytest
import yaml
from attrs import frozen

from config.build import FILE
from config.settings.groups import names, secret_names
from config.settings.load import load
from config.settings.readers import BusKind, Environment

ROOT = Path(__file__).resolve().parents[2]
LAYERS = {"domain", "application", "infrastructure", "interfaces", "config"}


@frozen
class Step:
    word: str
    rest: str

    @property
    def words(self) -> list[str]:
        return json.loads(self.rest) if self.rest.startswith("[") else shlex.split(self.rest)


def steps(text: str) -> list[Step]:
    """Comments left out, continued lines joined."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines))
    return [Step(*line.split(None, 1)) for line in joined.splitlines() if line.strip()]


def last_stage(all_steps: list[Step]) -> list[Step]:
    begins = max(number for number, step in enumerate(all_steps) if step.word == "FROM")
    return all_steps[begins:]


def sent(ignore: str, path: str) -> bool:
    """Whether .dockerignore lets a path go to the engine: the last line that matches it or a folder of it decides."""
    verdict = True
    for line in ignore.splitlines():
        pattern = line.strip()
        if pattern and not pattern.startswith("#"):
            parents = [path, *map(str, Path(path).parents)]
            if any(fnmatch(each, pattern.lstrip("!")) for each in parents if each != "."):
                verdict = pattern.startswith("!")
    return verdict


@pytest.fixture(scope="module")
def image() -> list[Step]:
    return steps((ROOT / "Dockerfile").read_text())


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return found


@pytest.fixture(scope="module")
def production() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.production.yml").read_text())
    return found


@pytest.fixture(scope="module")
def services(production: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = production["services"]
    return found


def copied(of: list[Step]) -> Iterator[str]:
    for step in of:
        if step.word == "COPY" and not step.rest.startswith("--from"):
            yield from step.words[:-1]


class TestImage:
    def test_what_is_copied_is_there_and_is_sent(self, image: list[Step]) -> None:
        ignore = (ROOT / ".dockerignore").read_text()
        sources = list(copied(image))
        assert len(sources) >= 8
        assert [source for source in sources if not (ROOT / source).exists()] == []
        assert [source for source in sources if not sent(ignore, source)] == []
        for private in (
            ".env",
            ".git/config",
            "var/secrets/jwt_secret_key",
            "tests/world.py",
            ".venv/pyvenv.cfg",
        ):
            assert not sent(ignore, private), private

    def test_everything_that_runs_is_in_it(self, image: list[Step]) -> None:
        assert set(copied(last_stage(image))) >= LAYERS
        assert "docs/protocol.md" in set(copied(last_stage(image)))  # shown at /docs/protocol
        assert "tests" not in set(copied(image))

    def test_it_holds_exactly_what_is_pinned(self, image: list[Step]) -> None:
        installs = [step.rest for step in image if step.word == "RUN" and "pip" in step.rest]
        packages, own = installs
        assert "--require-hashes" in packages
        assert "requirements/run.txt" in packages
        assert "dev.txt" not in packages
        assert {"--no-deps", "--no-index", "--no-build-isolation"} <= set(own.split())

    def test_the_base_is_slim_and_pinned(self, image: list[Step]) -> None:
        assert {step.words[0] for step in image if step.word == "FROM"} == {"${BASE}"}
        (base,) = (step.rest for step in image if step.word == "ARG" and step.rest.startswith("BASE="))
        assert re.fullmatch(r"BASE=\$\{REGISTRY\}python:3\.1[1-4]-slim-\w+@sha256:[0-9a-f]{64}", base)

    def test_it_knows_its_revision(self, image: list[Step]) -> None:
        stage = last_stage(image)
        (at,) = (number for number, step in enumerate(stage) if step.rest == "REVISION=")
        assert stage[at + 1] == Step("RUN", f"printf '%s' \"$REVISION\" > {FILE}")

    def test_nobody_has_roots_rights(self, image: list[Step]) -> None:
        stage = last_stage(image)
        words = [step.word for step in stage]
        (user,) = (step.rest for step in stage if step.word == "USER")
        number, _, group = user.partition(":")
        assert number.isdecimal()
        assert int(number) >= 1000
        assert group == number
        assert words.index("USER") < words.index("ENTRYPOINT")
        assert "RUN" not in words[words.index("USER") :]
        made = next(step.rest for step in stage if step.word == "RUN" and "useradd" in step.rest)
        assert f"--uid {number} " in made
        assert f"--gid {group} " in made

    def test_it_starts_the_messenger_and_asks_how_it_is(self, image: list[Step]) -> None:
        by_word = {step.word: step for step in last_stage(image)}
        *blocking, program = by_word["ENTRYPOINT"].words
        assert blocking == ["env", "--block-signal=TERM,INT,HUP"]
        assert (program, by_word["CMD"].words) == ("messenger", ["serve"])
        assert by_word["STOPSIGNAL"].rest == "SIGTERM"
        _, _, command = by_word["HEALTHCHECK"].rest.partition("CMD ")
        program, flag, module = json.loads(command)
        assert (program, flag) == ("python", "-m")
        assert (ROOT / Path(*module.split("."))).with_suffix(".py").is_file()

    def test_what_it_sets_are_settings(self, image: list[Step]) -> None:
        (env,) = (step for step in image if step.word == "ENV")
        own = {word.partition("=")[0] for word in env.words} - {
            "PATH",
            "PYTHONDONTWRITEBYTECODE",
            "PYTHONUNBUFFERED",
        }
        assert own
        assert own <= set(names())


class TestCompose:
    def test_the_messenger_its_database_and_a_mail_sink(self, compose: dict[str, Any]) -> None:
        assert compose["services"].keys() == {"messenger", "database", "mail"}
        assert compose["services"]["messenger"]["build"] == {"context": "."}
        assert re.fullmatch(r"postgres:1[5-9]-\w+", compose["services"]["database"]["image"])
        needs = compose["services"]["messenger"]["depends_on"]
        assert needs["database"] == {"condition": "service_healthy"}
        assert "pg_isready" in str(compose["services"]["database"]["healthcheck"]["test"])

    def test_its_settings_are_settings_and_hold_together(
        self, compose: dict[str, Any], tmp_path: Path
    ) -> None:
        given: dict[str, str] = compose["services"]["messenger"]["environment"]
        assert given.keys() <= set(names())
        filled = {name: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value) for name, value in given.items()}
        settings = load(filled | {"VAR_DIR": str(tmp_path)}, tmp_path / "no.env")
        assert settings.database.url is not None
        assert "@database:5432/messenger" in settings.database.url
        assert settings.mail.server == "mail"
        assert "catalogues" in settings.modules.wanted

    def test_nothing_listens_beyond_this_machine(self, compose: dict[str, Any]) -> None:
        published = [port for service in compose["services"].values() for port in service.get("ports", ())]
        assert published
        assert all(port.startswith("127.0.0.1:") for port in published)

    def test_what_is_kept_is_kept_in_volumes_that_are_declared(self, compose: dict[str, Any]) -> None:
        used = {
            volume.partition(":")[0]
            for service in compose["services"].values()
            for volume in service.get("volumes", ())
        }
        assert used == set(compose["volumes"])

    def test_the_messenger_has_no_more_rights_than_it_needs(self, compose: dict[str, Any]) -> None:
        service = compose["services"]["messenger"]
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert "no-new-privileges:true" in service["security_opt"]


class TestCompositionForProduction:
    def test_it_has_a_database_of_its_own_and_a_proxy(self, services: dict[str, Any]) -> None:
        assert services.keys() == {"database", "messenger", "proxy"}
        for service in (services["database"], services["proxy"]):
            assert re.fullmatch(r"[a-z]+:[\w.-]+@sha256:[0-9a-f]{64}", service["image"])
        assert services["messenger"]["depends_on"] == {"database": {"condition": "service_healthy"}}

    def test_nobody_has_more_rights_than_needed(self, services: dict[str, Any]) -> None:
        for name, service in services.items():
            assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"]), name
            assert service["security_opt"] == ["no-new-privileges:true"]
            assert service["restart"] == "unless-stopped"
        assert "cap_add" not in services["messenger"]

    def test_no_secret_is_in_an_environment(
        self, production: dict[str, Any], services: dict[str, Any]
    ) -> None:
        for service in services.values():
            given: dict[str, str] = service.get("environment", {})
            assert not set(given) & set(secret_names())
            named = {
                value.removeprefix("/run/secrets/") for name, value in given.items() if name.endswith("_FILE")
            }
            assert named == set(service.get("secrets", ()))
        assert production["secrets"].keys() == set(services["messenger"]["secrets"])
        assert all(each["file"].startswith("secrets/") for each in production["secrets"].values())
        assert not sent((ROOT / ".dockerignore").read_text(), "secrets/jwt_secret_key")
        assert {"secrets/", "messenger.env"} <= set((ROOT / ".gitignore").read_text().split())

    def test_its_settings_are_settings_and_hold_together(
        self, services: dict[str, Any], tmp_path: Path
    ) -> None:
        """With what people set in messenger.env. A database that is embedded is no part of it."""
        given: dict[str, str] = services["messenger"]["environment"]
        files = {name for name in given if name.endswith("_FILE")}
        assert {name.removesuffix("_FILE") for name in files} <= set(secret_names())
        assert set(given) - files <= set(names())
        for name in files:
            secret = tmp_path / given[name].rpartition("/")[2]
            secret.write_text("x1Yb-7Qm_kT3w9Lz_c5Vn8Hq2_r6Dj4Fs\n")
        own = {
            "API_PUBLIC_URL": "https://chat.example.com",
            "MAIL_SERVER": "smtp.example.com",
            "MAIL_FROM_EMAIL": "messenger@example.com",
            "MAIL_USERNAME": "messenger",
            "VAR_DIR": str(tmp_path / "var"),
        }
        filled = {name: value.replace("/run/secrets", str(tmp_path)) for name, value in given.items()}
        settings = load(filled | own, tmp_path / "no.env")
        assert settings.environment is Environment.PROD
        assert settings.database.url is not None
        assert "@database:5432/messenger" in settings.database.url
        assert services["messenger"]["environment"]["METRICS_PORT"] in services["messenger"]["ports"][0]

    def test_only_the_proxy_is_reached_and_it_alone_is_trusted(
        self, production: dict[str, Any], services: dict[str, Any]
    ) -> None:
        assert services["proxy"]["ports"] == ["80:80", "443:443"]
        assert "ports" not in services["database"]
        assert all(port.startswith("127.0.0.1:") for port in services["messenger"]["ports"])
        assert services["database"]["networks"] == ["inside"]
        assert production["networks"]["inside"] == {"internal": True}
        on_front = {name for name, service in services.items() if "front" in service["networks"]}
        assert on_front == {"messenger", "proxy"}
        ((config,),) = (production["networks"]["front"]["ipam"]["config"],)
        assert services["messenger"]["environment"]["API_TRUSTED_PROXIES"] == config["subnet"]

    def test_each_says_how_it_is_and_has_time_to_stop(self, services: dict[str, Any]) -> None:
        assert "pg_isready" in str(services["database"]["healthcheck"]["test"])
        assert services["messenger"]["healthcheck"]["test"] == ["CMD", "python", "-m", "config.healthcheck"]
        drain = float(services["messenger"]["environment"]["API_DRAIN_SECONDS"])
        assert int(services["messenger"]["stop_grace_period"].removesuffix("s")) > drain + 10

    def test_what_is_kept_is_kept_in_volumes_that_are_declared(
        self, production: dict[str, Any], services: dict[str, Any]
    ) -> None:
        used = {volume.partition(":")[0] for each in services.values() for volume in each.get("volumes", ())}
        assert used == set(production["volumes"])


CLUSTER = ROOT / "docs" / "deploy" / "cluster.yml"


@pytest.fixture(scope="module")
def cluster() -> dict[str, Any]:
    steps: dict[str, Any] = yaml.safe_load(CLUSTER.read_text())
    return steps


class TestSteps:
    """docs/deploy/cluster.yml starts the steps of docs/scaling.md, each with a profile."""

    STEPS: ClassVar = {
        "process": BusKind.NONE,
        "workers": BusKind.NOTIFY,
        "cluster": BusKind.NATS,
        "replica": BusKind.NOTIFY,
    }

    @staticmethod
    def started(cluster: dict[str, Any], step: str) -> dict[str, dict[str, Any]]:
        services = cluster["services"].items()
        return {name: each for name, each in services if step in each.get("profiles", [step])}

    def test_each_step_is_started_and_explained(self, cluster: dict[str, Any]) -> None:
        found = {step for each in cluster["services"].values() for step in each.get("profiles", ())}
        assert found == self.STEPS.keys()
        page = (ROOT / "docs" / "scaling.md").read_text()
        for step in found:
            assert f"--profile {step} up" in CLUSTER.read_text()
            assert f"`{step}`" in page

    @pytest.mark.parametrize("step", sorted(STEPS))
    def test_one_service_has_the_port_and_all_that_is_waited_for_starts(
        self, cluster: dict[str, Any], step: str
    ) -> None:
        services = self.started(cluster, step)
        ports = [port for each in services.values() for port in each.get("ports", ())]
        assert sorted(ports) == ["127.0.0.1:8025:8025", "127.0.0.1:8788:8788"]
        assert all(name in services for each in services.values() for name in each.get("depends_on", ()))

    @pytest.mark.parametrize("step", sorted(STEPS))
    def test_settings_are_accepted_and_name_hosts_of_the_step(
        self, cluster: dict[str, Any], step: str
    ) -> None:
        services = self.started(cluster, step)
        built = [each for each in services.values() if "build" in each]
        assert len(built) == (2 if step == "cluster" else 1)
        for each in built:
            settings = load({**each["environment"], "JWT_SECRET_KEY": "k" * 40}, ROOT / "nowhere")
            addresses = [settings.database.url, settings.database.replica_url, *settings.bus.nats_servers]
            hosts = {urlsplit(address).hostname for address in addresses if address}
            assert hosts <= services.keys()
            assert settings.bus.kind is self.STEPS[step]
            assert (settings.database.replica_url is not None) == (step == "replica")

    def test_what_is_mounted_is_there(self, cluster: dict[str, Any]) -> None:
        mounted = [v.split(":")[0] for each in cluster["services"].values() for v in each.get("volumes", ())]
        assert {name for name in mounted if not name.startswith(".")} == set(cluster["volumes"])
        assert all((CLUSTER.parent / name).is_file() for name in mounted if name.startswith("."))


@pytest.mark.parametrize(
    "path",
    [ROOT / "docker-compose.yml", ROOT / "docker-compose.production.yml", CLUSTER],
    ids=lambda path: str(path.name),
)
def test_an_init_process_hears_signals_before_the_interpreter_does(path: Path) -> None:
    """Process 1 without a handler is sent no signal, and an engine would wait until it may kill."""
    built = [each for each in yaml.safe_load(path.read_text())["services"].values() if "build" in each]
    assert built
    assert all(each["init"] is True for each in built)


def test_sees_what_is_wrong() -> None:
    seen = steps("FROM a\n# USER x\nRUN one \\\n    && two\nCOPY a b c/\n")
    assert [(step.word, step.rest) for step in seen] == [
        ("FROM", "a"),
        ("RUN", "one && two"),
        ("COPY", "a b c/"),
    ]
    assert list(copied(seen)) == ["a", "b"]
    assert not sent("*\n!domain\n", ".env")
    assert sent("*\n!domain\n", "domain/chat.py")
    assert not sent("*\n!domain\n**/*.pyc\n", "domain/a.pyc")
