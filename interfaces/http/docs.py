"""
The documentation of the interface: `/openapi.json`, and Swagger UI to read it and try it out.

This server serves all files itself. They are those of `swagger-ui-dist`, which the package `mkdocs-swagger-ui-tag` ships
unchanged; nothing else of that package is used.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.resources import files
from typing import Final

from attrs import Factory, define, field, frozen
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from interfaces.http import asyncapi
from interfaces.http.envelope import etag, has
from interfaces.http.events_page import events_page
from interfaces.http.look import BAR, FOLDER, STYLE
from interfaces.http.openapi import document
from interfaces.http.options import HttpOptions
from interfaces.http.pages import policy, render
from interfaces.http.protocol_page import protocol_page
from interfaces.http.routes import Endpoint
from interfaces.wire.codec import dumps

ASSETS: Final = "mkdocs_swagger_ui_tag"

SCRIPTS: Final[Mapping[str, str]] = {
    "swagger-ui.css": "swagger-ui/stylesheets/swagger-ui.css",
    "swagger-ui-bundle.js": "swagger-ui/javascripts/swagger-ui-bundle.js",
}

START: Final = """"use strict";
SwaggerUIBundle({
  url: document.body.dataset.document,
  dom_id: "#docs",
  deepLinking: true,
  // The page may ask only the server that it comes from, which may have another name than the public one.
  requestInterceptor: (request) => {
    const { pathname, search } = new URL(request.url, location.href);
    request.url = location.origin + pathname + search;
    return request;
  },
  docExpansion: "list",
  persistAuthorization: false,
  tryItOutEnabled: true,
  validatorUrl: null,
});

const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();
"""

OPENAPI_PATH: Final = "/openapi.json"
"""The path of the document. The prefix does not apply to it, as in the original messenger."""

ASYNCAPI_PATH: Final = "/asyncapi.json"
"""The path of the document about sockets, beside `OPENAPI_PATH`."""


@frozen
class Asset:
    content: bytes
    media_type: str
    headers: Mapping[str, str] = field(factory=dict)
    _tag: str = field(init=False, default=Factory(lambda self: etag(self.content), takes_self=True))

    def answer(self, request: Request) -> Response:
        headers = {**self.headers, "ETag": self._tag, "Cache-Control": "no-cache"}
        if has(request, self._tag):
            return Response(status_code=304, headers=headers)
        return Response(self.content, headers=headers, media_type=self.media_type)


@define(eq=False, slots=False)
class Docs:
    """The documentation of ``endpoints``: those that have a description appear in it."""

    options: HttpOptions
    endpoints: Sequence[Endpoint]

    def routes(self) -> list[Endpoint]:
        if not self.options.docs:
            return []
        at = self.docs_path
        return [
            Endpoint("GET", "/", self.redirect_to_docs),
            Endpoint("GET", OPENAPI_PATH, self.show_document),
            Endpoint("GET", ASYNCAPI_PATH, self.show_asyncapi),
            Endpoint("GET", at, self.show),
            Endpoint("GET", f"{at}/protocol", self.show_protocol),
            Endpoint("GET", f"{at}/events", self.show_events),
            *(
                Endpoint("GET", f"{at}/{name}", self.show_asset)
                for name in (*SCRIPTS, "start.js", "look.css")
            ),
        ]

    @property
    def docs_path(self) -> str:
        return f"{self.options.prefix}{self.options.docs_path}"

    async def redirect_to_docs(self, _: Request) -> Response:
        return RedirectResponse(f"{self.options.public_path}{self.docs_path}")

    async def show_document(self, request: Request) -> Response:
        return self._document.answer(request)

    async def show_asyncapi(self, request: Request) -> Response:
        return self._asyncapi.answer(request)

    async def show(self, _: Request) -> Response:
        options = self.options
        content = render(
            "docs.html",
            places=options.places,
            here="docs",
            title=options.about.title,
            at=self._public_docs,
            document=f"{options.public_path}{OPENAPI_PATH}",
        )
        headers = {
            "Content-Security-Policy": policy(
                own=("script-src", "style-src", "connect-src"), images="'self' data:"
            ),
            "Cache-Control": "no-cache",
        }
        return HTMLResponse(content, headers=headers)

    async def show_protocol(self, request: Request) -> Response:
        return self._protocol.answer(request)

    async def show_events(self, request: Request) -> Response:
        return self._events.answer(request)

    async def show_asset(self, request: Request) -> Response:
        return self._assets[request.url.path.rpartition("/")[2]].answer(request)

    @cached_property
    def _document(self) -> Asset:
        return Asset(dumps(document(self.endpoints, self.options)), "application/json")

    @cached_property
    def _asyncapi(self) -> Asset:
        return Asset(dumps(asyncapi.document(self.options)), "application/json")

    @cached_property
    def _protocol(self) -> Asset:
        return _page(protocol_page(self.options.about.title, self.options.places))

    @cached_property
    def _events(self) -> Asset:
        options = self.options
        document = f"{options.public_path}{ASYNCAPI_PATH}"
        return _page(events_page(options.about.title, options.places, options.prefix, document))

    @property
    def _public_docs(self) -> str:
        return f"{self.options.public_path}{self.docs_path}"

    @cached_property
    def _assets(self) -> Mapping[str, Asset]:
        found = {name: (files(ASSETS) / path).read_bytes() for name, path in SCRIPTS.items()}
        found["start.js"] = START.encode()
        found["look.css"] = BAR.encode() + (FOLDER / "swagger.css").read_bytes()
        kinds = {"css": "text/css", "js": "text/javascript"}
        return {name: Asset(content, kinds[name.rpartition(".")[2]]) for name, content in found.items()}


def _page(content: str) -> Asset:
    """A page that runs nothing and loads nothing."""
    return Asset(
        content.encode(),
        "text/html; charset=utf-8",
        {"Content-Security-Policy": policy(styles=(STYLE,), images="data:")},
    )
