"""
Modules: features that can be switched off by name (`MODULES_SECTION_ENABLED_MODULES`).

The built-in modules are assembled in `interfaces.app` and `config.asgi`. Every other module is a file in this folder, created
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
"""``base`` and ``notify`` have no routes. Letters are sent if ``auth`` or ``notify`` is enabled."""

NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,40}")


def installed(wanted: Sequence[str]) -> list[str]:
    """Returns the existing modules of ``wanted`` in their order. Logs and omits the others, as the original messenger did."""
    known = []
    for name in wanted:
        if name in BUILT_IN or _is_here(name):
            known.append(name)
        else:
            log.error("ignored an unknown module", extra={"module_name": name})
    return known


def added_routes(names: Sequence[str], application: Application, options: HttpOptions) -> list[BaseRoute]:
    """Returns the routes of the modules in this folder."""
    routes: list[BaseRoute] = []
    for name in names:
        if name not in BUILT_IN:
            routes += import_module(f"{__name__}.{name}").routes(application, options)
    return routes


def _is_here(name: str) -> bool:
    return bool(NAME.fullmatch(name)) and find_spec(f"{__name__}.{name}") is not None
