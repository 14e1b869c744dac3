"""
Modules: features that can be switched off by name (`MODULES_SECTION_ENABLED_MODULES`).

Built-in modules are put together in `interfaces.app` and `config.asgi`. Every other module is a file in this folder, made
by ``messenger module create``, with a function ``routes(application, options)``.
"""

import re
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from logging import getLogger
from typing import Final

from starlette.routing import BaseRoute

from config.container import Application
from interfaces.http.options import HttpOptions

log: Final = getLogger(__name__)

BUILT_IN: Final = ("healthcheck", "auth", "base", "chat", "catalogues", "notify")
"""The built-in modules. ``base`` and ``notify`` have no routes. Letters are sent if ``auth`` or ``notify`` is on."""

NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,40}")


def installed(wanted: Sequence[str]) -> list[str]:
    """The modules in ``wanted`` that exist, in the same order. Unknown ones are logged and left out, as in the original."""
    known = []
    for name in wanted:
        if name in BUILT_IN or _is_here(name):
            known.append(name)
        else:
            log.error("ignored an unknown module", extra={"module_name": name})
    return known


def added_routes(names: Sequence[str], application: Application, options: HttpOptions) -> list[BaseRoute]:
    """The routes of the modules in this folder."""
    routes: list[BaseRoute] = []
    for name in names:
        if name not in BUILT_IN:
            routes += import_module(f"{__name__}.{name}").routes(application, options)
    return routes


def _is_here(name: str) -> bool:
    return bool(NAME.fullmatch(name)) and find_spec(f"{__name__}.{name}") is not None
