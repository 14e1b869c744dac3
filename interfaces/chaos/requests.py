"""Loses answers of HTTP requests on purpose: the request is carried out, but the client gets an error."""

from typing import Final

from attrs import define, field
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from interfaces.chaos.chance import Chaos
from interfaces.http.envelope import Refusal, refused

UNSAFE: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})

OUTCOME_UNKNOWN: Final = Refusal(503, "OUTCOME_UNKNOWN", "Outcome unknown; retry with the same key")
FAILED: Final = Refusal(500, "SYSTEM_ERROR", "Internal server error")


def _substitutes() -> tuple[Response, ...]:
    """The answers of a server, or of a proxy in front of it, that leave the outcome of a request unknown."""
    return (
        refused(OUTCOME_UNKNOWN),
        refused(FAILED),
        PlainTextResponse("Bad Gateway", 502),
        PlainTextResponse("Gateway Timeout", 504),
    )


@define(eq=False)
class LostAnswers:
    """An ASGI application around another one."""

    app: ASGIApp
    chaos: Chaos
    _substitutes: tuple[Response, ...] = field(init=False, factory=_substitutes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in UNSAFE:
            await self.app(scope, receive, send)
            return
        draw = self.chaos.of("request")
        if draw() >= self.chaos.rates.lost_answers:
            await self.app(scope, receive, send)
            return

        async def lose(_: Message) -> None:
            pass

        await self.app(scope, receive, lose)
        await self._substitutes[int(draw() * len(self._substitutes))](scope, receive, send)
