"""
Serves the web client: one page at `/app/` and, as in the original messenger, at `/chats/ui/`, and the files that it needs.

The page may run only scripts of this server, create no HTML from texts (Trusted Types), and ask nothing of other servers.
"""

import asyncio
import json
from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final

from attrs import Factory, define
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from interfaces.http.accept import preferred_encoding, preferred_language
from interfaces.http.options import HttpOptions
from interfaces.http.routes import Endpoint
from interfaces.web.files import ENCODINGS, Files
from interfaces.web.status import Local, LocalStatus

HERE: Final = Path(__file__).parent
LANGUAGES: Final = ("en", "ru")
NAMES: Final = {"en": "Messenger", "ru": "Мессенджер"}

WORKER: Final = HERE / "worker.js"
ENTRY: Final = "web/static/main.js"
STYLE: Final = "web/static/style.css"
TOKENS: Final = "style/tokens.css"
ICON: Final = "style/icon.svg"
PICTURES: Final = (
    ("192x192", "any", "style/icon-192.png"),
    ("512x512", "any", "style/icon-512.png"),
    ("512x512", "maskable", "style/icon-maskable.png"),
)
"""Sizes, purposes and paths of the icons of an installed web client."""
TOUCH_ICON: Final = "style/icon-192.png"

_DIRECTIVES: Final[Mapping[str, str]] = {
    "default-src": "'none'",
    **dict.fromkeys(
        ("script-src", "style-src", "img-src", "connect-src", "manifest-src", "worker-src"), "'self'"
    ),
    **dict.fromkeys(("base-uri", "form-action", "frame-ancestors"), "'none'"),
    "require-trusted-types-for": "'script'",
    "trusted-types": "messenger-worker",
}

PAGE_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in _DIRECTIVES.items()),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cache-Control": "no-cache",
    "Vary": "Accept-Language",
}

FOREVER: Final = "public, max-age=31536000, immutable"

_environment: Final = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
)


@cache
def _own_files() -> Files:
    """Read once: they are part of the program."""
    return Files.read(HERE.parent)


@define(eq=False, slots=False)
class WebClient:
    options: HttpOptions
    local: Local | None = None
    """The state and the letters of a messenger that somebody tries out on this machine; None if others can ask."""
    files: Files = Factory(_own_files)

    def routes(self) -> list[Endpoint]:
        if not self.options.web_client:
            return []
        at = self.options.web_path
        return [
            Endpoint("GET", at, self.show),
            Endpoint("GET", f"{self.options.prefix}/chats/ui/", self.show),
            Endpoint("GET", f"{at}manifest.webmanifest", self.show_manifest),
            Endpoint("GET", f"{at}worker.js", self.show_worker),
            *(self._status.routes() if self._status else ()),
            Endpoint("GET", f"{at}{{digest}}/{{path:path}}", self.show_file),
        ]

    async def show(self, request: Request) -> Response:
        language = preferred_language(request.headers, LANGUAGES)
        content = self._template.render(
            language=language,
            base=self.options.base,
            docs=f"{self.options.base}{self.options.docs_path}" if self.options.docs else "",
            letters=self._status.letters_path if self._status and self._status.local.letters else "",
            status=self.options.places.status if self._status else "",
            programs="yes" if self.options.access_tokens else "",
            manifest=f"{self.options.public_path}{self.options.web_path}manifest.webmanifest",
            script=self._address(ENTRY),
            styles=[self._address(TOKENS), self._address(STYLE)],
            icon=self._address(ICON),
            touch_icon=self._address(TOUCH_ICON),
            worker=f"{self.options.public_path}{self.options.web_path}worker.js",
            digest=self.files.digest,
            modules=[self._address(path) for path in self.files.modules()],
        )
        return HTMLResponse(content, headers={**PAGE_HEADERS, "Content-Language": language})

    async def show_file(self, request: Request) -> Response:
        """Return a file. One of another digest is missing: the page that names it is from another version."""
        file = self.files.by_path.get(request.path_params["path"])
        if file is None or request.path_params["digest"] != self.files.digest:
            raise HTTPException(404)
        encoding = preferred_encoding(request.headers, ENCODINGS)
        if encoding is None or file.is_compressed:
            content = file.encoded(encoding)
        else:
            content = await asyncio.to_thread(file.encoded, encoding)
        headers = {
            "Cache-Control": FOREVER,
            "Vary": "Accept-Encoding",
            "Cross-Origin-Resource-Policy": "same-origin",
        }
        if encoding is not None:
            headers["Content-Encoding"] = encoding
        return Response(content, headers=headers, media_type=file.media_type)

    async def show_manifest(self, request: Request) -> Response:
        language = preferred_language(request.headers, LANGUAGES)
        headers = {"Cache-Control": "no-cache", "Vary": "Accept-Language", "Content-Language": language}
        return Response(
            json.dumps(self._manifest(language), ensure_ascii=False),
            headers=headers,
            media_type="application/manifest+json",
        )

    async def show_worker(self, _: Request) -> Response:
        """Return the service worker. Its text names the version, so that browsers notice another one."""
        headers = {
            "Cache-Control": "no-cache",
            "Content-Security-Policy": "default-src 'none'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'",
            "Cross-Origin-Resource-Policy": "same-origin",
        }
        return Response(self._worker, headers=headers, media_type="text/javascript; charset=utf-8")

    @cached_property
    def _status(self) -> LocalStatus | None:
        return LocalStatus(self.options, self.local) if self.local else None

    @cached_property
    def _worker(self) -> str:
        shell = {
            "digest": self.files.digest,
            "page": f"{self.options.public_path}{self.options.web_path}",
            "files": [self._address(path) for path in self.files.by_path],
        }
        return f"const SHELL = {json.dumps(shell)};\n{WORKER.read_text(encoding='utf-8')}"

    def _manifest(self, language: str) -> Mapping[str, Any]:
        start = f"{self.options.public_path}{self.options.web_path}"
        name = NAMES[language]
        pictures = [
            {"src": self._address(path), "sizes": sizes, "purpose": purpose, "type": "image/png"}
            for sizes, purpose, path in PICTURES
        ]
        return {
            "id": start,
            "name": name,
            "short_name": name,
            "lang": language,
            "start_url": start,
            "scope": start,
            "display": "standalone",
            "background_color": "#eef1f0",
            "theme_color": "#2a6a59",
            "icons": [
                {"src": self._address(ICON), "sizes": "any", "type": "image/svg+xml"},
                *pictures,
            ],
        }

    @cached_property
    def _template(self) -> Any:
        return _environment.get_template("app.html")

    def _address(self, path: str) -> str:
        return f"{self.options.public_path}{self.options.web_path}{self.files.digest}/{path}"
