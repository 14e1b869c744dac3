from attrs import frozen
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from application.messenger import Messenger
from domain.catalogue import NAME, CatalogueNotFound, Language
from interfaces.http.authentication import actor_of
from interfaces.http.described import CATALOGUES, described
from interfaces.http.envelope import success
from interfaces.http.options import HttpOptions
from interfaces.http.routes import Endpoint
from interfaces.wire import answers, codec
from interfaces.wire.schema import FieldDoc


@frozen
class Catalogues:
    """Reference lists for signed-in callers: in Russian, or in English if the client prefers it and a translation exists."""

    messenger: Messenger
    options: HttpOptions

    def routes(self) -> list[Endpoint]:
        at = f"{self.options.prefix}/catalogues/"
        return [Endpoint("GET", at, self.read_all), Endpoint("GET", at + "{name}/", self.read)]

    @described(
        summary="List the catalogues",
        description="Keys are the names under which `GET /catalogues/{name}/` reads them. Texts are in Russian, or "
        "in English if `Accept-Language` prefers it.",
        tag=CATALOGUES,
        answer=list[answers.Entry],
    )
    async def read_all(self, request: Request) -> Response:
        await actor_of(request, self.messenger)
        return _shown(codec.entries_json(await self.messenger.catalogues.list(), _language(request)))

    @described(
        summary="Read a catalogue",
        description="Texts are in Russian, or in English if `Accept-Language` prefers it and there is a translation.",
        tag=CATALOGUES,
        path={"name": FieldDoc("The name of a catalogue, a key of `GET /catalogues/`", "test")},
        answer=list[answers.Entry],
        is_by_name=True,
    )
    async def read(self, request: Request) -> Response:
        await actor_of(request, self.messenger)
        name = request.path_params["name"]
        if not NAME.fullmatch(name):
            raise HTTPException(404)
        try:
            catalogue = await self.messenger.catalogues.get(name)
        except CatalogueNotFound:
            # In the original each list is a route of its own, so any other name is an unknown path.
            raise HTTPException(404) from None
        return _shown(codec.entries_json(catalogue.entries, _language(request)))


def _shown(entries: object) -> Response:
    return success(entries, {"Vary": "Accept-Language"})


def _language(request: Request) -> Language:
    """
    Return English if ``Accept-Language`` gives it a higher weight than Russian, else Russian, as in the original.

    Other languages are ignored: there are no translations into them.
    """
    wanted = {Language.RUSSIAN: 0.0, Language.ENGLISH: 0.0}
    for part in request.headers.get("accept-language", "").split(","):
        tag, _, parameter = part.partition(";")
        language = tag.strip().lower().partition("-")[0]
        if language in {"ru", "en"}:
            name = Language(language)
            wanted[name] = max(wanted[name], _quality(parameter))
    return Language.ENGLISH if wanted[Language.ENGLISH] > wanted[Language.RUSSIAN] else Language.RUSSIAN


def _quality(parameter: str) -> float:
    name, _, value = parameter.partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return min(max(float(value), 0.0), 1.0)
    except ValueError:
        return 0.0
