import logging
import sys
from pathlib import Path

import pytest
from starlette.routing import Route

import config.modules
from config.asgi import workers
from config.modules import BUILT_IN, added_routes, installed
from config.settings.groups import Modules
from config.settings.load import load
from config.settings.texts import WrongSettings
from interfaces.app import MODULES
from interfaces.http.options import HttpOptions
from tests.config.test_settings import NO_FILE, PROD
from tests.world import world


def wanted(**given: str) -> tuple[str, ...]:
    names = {f"MODULES_SECTION_{name}": value for name, value in given.items()}
    return load(PROD | names, NO_FILE).modules.wanted


BASE = ("healthcheck", "auth", "base", "chat")


@pytest.mark.parametrize(
    ("enabled", "expected"),
    [
        ("BASE", BASE),
        ("BASE,catalogues_module", ("catalogues", *BASE)),
        ("catalogues,BASE", ("catalogues", *BASE)),
        ("chat_module,BASE", ("chat", "healthcheck", "auth", "base")),
        ("healthcheck_module,chat,chat_module", ("healthcheck", "chat")),
        (" auth , , nope_module ", ("auth", "nope")),
        (",", ()),
    ],
)
def test_what_is_wanted_and_in_which_order(enabled: str, expected: tuple[str, ...]) -> None:
    assert wanted(ENABLED_MODULES=enabled) == expected


def test_without_a_word_it_is_what_the_original_had() -> None:
    assert Modules().wanted == wanted() == BASE


@pytest.mark.parametrize("base", ['["auth_module", "notify_module"]', "auth,notify_module"])
def test_what_base_stands_for(base: str) -> None:
    assert wanted(BASE_MODULES=base) == ("auth", "notify")


@pytest.mark.parametrize("base", ['["auth_module"', "[1]", '[["auth"]]', '{"a": 1}\x07'])
def test_a_list_that_is_none_is_told(base: str) -> None:
    with pytest.raises(WrongSettings, match="MODULES_SECTION_BASE_MODULES"):
        wanted(BASE_MODULES=base)


def test_every_module_with_routes_is_one_of_the_house() -> None:
    assert set(MODULES) <= set(BUILT_IN)


@pytest.mark.parametrize("name", ["nope", "../evil", "os", "__init__", "a.b", "", "Chat"])
def test_an_unknown_module_is_logged_and_left_out(name: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, logger="config.modules"):
        assert installed([*BUILT_IN, name]) == list(BUILT_IN)
    (record,) = caplog.records
    assert vars(record)["module_name"] == name


async def test_a_file_in_the_folder_is_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "teapots.py").write_text(
        "from starlette.routing import Route\n"
        "def routes(application, options):\n"
        "    return [Route(options.prefix + '/teapots/', lambda request: None)]\n"
    )
    monkeypatch.setattr(config.modules, "__path__", [*config.modules.__path__, str(tmp_path)])
    try:
        assert installed(["teapots", "chat"]) == ["teapots", "chat"]
        async with world() as here:
            found = added_routes(["teapots", "chat"], here.application, HttpOptions(prefix="/api"))
    finally:
        sys.modules.pop("config.modules.teapots", None)
    assert [route.path for route in found if isinstance(route, Route)] == ["/api/teapots/"]


async def test_workers_are_those_of_what_is_on() -> None:
    async with world() as here:
        made, running = here.application, here.application.workers()
        letters, closed, tidying, purging = (
            each.run for each in (running.letters, running.closed_accounts, running.tidying, running.purging)
        )
        assert workers(made, BUILT_IN) == [letters, closed, tidying, purging]
        assert workers(made, ["healthcheck", "chat", "catalogues"]) == [purging]
        assert workers(made, ["auth"]) == [letters, closed, tidying]
        assert workers(made, ["notify"]) == [letters]
        assert workers(made, ["healthcheck", "base", "catalogues"]) == []
