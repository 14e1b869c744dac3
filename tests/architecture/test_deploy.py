"""The samples of docs/deploy agree with the settings' defaults, with one another, and with the page that uses them."""

import re
import subprocess
from configparser import RawConfigParser
from pathlib import Path

import pytest

from config.settings.groups import Api, Connections, Socket, names
from config.settings.load import load
from infrastructure.system.descriptors import ENOUGH_DESCRIPTORS
from tests.services import program, require

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "docs" / "deploy"
PAGE = (ROOT / "docs" / "production.md").read_text()
UNIT = (DEPLOY / "messenger.service").read_text()


class Settings(RawConfigParser):
    """A unit of systemd, of which a repeated key's last line counts here."""

    def __init__(self) -> None:
        super().__init__(strict=False, comment_prefixes=("#",))
        self.optionxform = str  # type: ignore[assignment,method-assign]  # the way to keep upper case


@pytest.fixture
def service() -> dict[str, str]:
    unit = Settings()
    unit.read_string(UNIT)
    return dict(unit["Service"])


def value(text: str, name: str) -> str:
    (found,) = re.findall(rf"^\s*{name} +(\S+?);?$", text, re.MULTILINE)
    return str(found)


def seconds(text: str) -> float:
    return float(text.removesuffix("s"))


class TestProxies:
    @pytest.fixture
    def nginx(self) -> str:
        return (DEPLOY / "nginx" / "messenger-proxy.conf").read_text()

    def test_silence_is_longer_than_a_ping_and_its_answer(self, nginx: str) -> None:
        ping = Socket().heartbeat_seconds + Socket().pong_seconds
        assert seconds(value(nginx, "proxy_read_timeout")) > ping
        assert seconds(value(nginx, "proxy_send_timeout")) > ping
        assert f"more than {ping:g} s" in PAGE

    def test_the_proxy_closes_idle_connections_first(self) -> None:
        nginx = (DEPLOY / "nginx" / "messenger.conf").read_text()
        caddy = (DEPLOY / "caddy" / "Caddyfile").read_text()
        for text, name in ((nginx, "keepalive_timeout"), (caddy, "keepalive")):
            assert seconds(value(text, name)) < Connections().idle_seconds

    def test_bodies_have_the_messengers_limits(self, nginx: str) -> None:
        assert int(value(nginx, "client_max_body_size")) == Api().body_limit
        assert seconds(value(nginx, "client_body_timeout")) == Connections().body_seconds
        assert f"{Api().body_limit // 1024} KiB" in PAGE

    @pytest.mark.parametrize("sample", ["nginx/messenger.conf", "caddy/Caddyfile"])
    def test_they_lead_to_the_default_port(self, sample: str) -> None:
        assert f"127.0.0.1:{Api().port}" in (DEPLOY / sample).read_text()


class TestService:
    def test_systemd_understands_it(self, tmp_path: Path) -> None:
        """Verified with a program that exists, since the messenger is not installed here."""
        require("systemd-analyze")
        unit = tmp_path / "messenger.service"
        unit.write_text(UNIT.replace("/opt/messenger/.venv/bin/messenger", "/bin/true"))
        tool = program("systemd-analyze")
        assert tool is not None
        said = subprocess.run([tool, "verify", unit], capture_output=True, text=True, check=False)
        assert (said.returncode, said.stdout + said.stderr) == (0, "")

    def test_it_has_no_more_rights_than_it_needs(self, service: dict[str, str]) -> None:
        assert service["User"] not in {"", "root"}
        assert service["CapabilityBoundingSet"] == ""
        for name in ("NoNewPrivileges", "ProtectHome", "PrivateTmp", "PrivateDevices", "RestrictNamespaces"):
            assert service[name] == "yes"
        assert service["ProtectSystem"] == "strict"

    def test_it_may_open_what_the_messenger_uses(self, service: dict[str, str]) -> None:
        assert int(service["LimitNOFILE"]) == ENOUGH_DESCRIPTORS

    def test_the_page_puts_everything_where_the_service_looks_for_it(self, service: dict[str, str]) -> None:
        program_of, _, command = service["ExecStart"].partition(" ")
        assert command == "serve"
        folder = program_of.removesuffix("/.venv/bin/messenger")
        assert f"ln -sfn {folder}-0.1.0 {folder}\n" in PAGE
        assert f"{service['WorkingDirectory']}/.env" in PAGE
        assert f"VAR_DIR=/var/lib/{service['StateDirectory']}\n" in PAGE
        assert f"useradd --system --user-group --home-dir /var/lib/{service['StateDirectory']} " in PAGE
        assert f"/nologin {service['User']}\n" in PAGE


class TestPage:
    def test_its_settings_are_a_start_in_production(self, tmp_path: Path) -> None:
        """Those of step 4, as they stand there."""
        (text,) = re.findall(r"> /etc/messenger/\.env <<END\n(.*?)END\n", PAGE, re.DOTALL)
        key = "0123456789abcdef" * 4
        file = tmp_path / ".env"
        file.write_text(text.replace("$(openssl rand -hex 32)", key).replace("$NAME", "chat.example.com"))
        assert {line.partition("=")[0] for line in text.splitlines()} <= set(names())
        settings = load({}, file)
        assert settings.environment.value == "PROD"
        assert settings.api.secure_cookies
        assert settings.database.url is not None
        assert settings.operation.metrics_port is not None
        assert f'targets: ["{settings.operation.metrics_host}:{settings.operation.metrics_port}"]' in PAGE

    def test_files_that_it_copies_exist(self) -> None:
        copied = re.findall(r"/usr/local/src/messenger/(\S+)", PAGE)
        assert len(copied) >= 4
        assert [path for path in copied if not (ROOT / path).is_file()] == []

    def test_nobody_is_led_to_example_people(self) -> None:
        for text in (PAGE, (ROOT / "docker-compose.production.yml").read_text()):
            assert "ENVIRONMENT=LOCAL" not in text
            assert "ENVIRONMENT: LOCAL" not in text
            assert "make run" not in text
