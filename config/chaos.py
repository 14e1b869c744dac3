"""Breaks connections on purpose, for people who write clients: see docs/clients.md."""

from logging import getLogger
from typing import Final

from attrs import asdict
from starlette.types import ASGIApp

from config.settings.groups import Settings
from infrastructure.system.chance import seeded
from interfaces.chaos.chance import Chaos, Rates
from interfaces.chaos.requests import LostAnswers
from interfaces.chaos.sockets import chaotic
from interfaces.ws.protocol import SocketProtocol

log: Final = getLogger(__name__)


def edges(app: ASGIApp, settings: Settings) -> tuple[ASGIApp, type[SocketProtocol]]:
    """The application and the class of sockets as the server gets them: as they are, unless `CHAOS_SEED` is set."""
    fields = asdict(settings.chaos)
    seed = fields.pop("seed")
    if seed is None:
        return app, SocketProtocol
    assert settings.local, "the settings are refused elsewhere"
    log.warning("connections are broken on purpose", extra={"seed": seed, **fields})
    chaos = Chaos(Rates(**fields), seeded(seed))
    return LostAnswers(app, chaos), chaotic(chaos)
