"""
A page for each error code, in the browser's language: the `type` of a problem is its address.

Clients that prefer JSON get the texts in both languages as JSON.
"""

from attrs import asdict, frozen
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from interfaces.http.accept import preferred
from interfaces.http.envelope import MEDIA_TYPE as JSON
from interfaces.http.envelope import success
from interfaces.http.explanations import EXPLANATIONS
from interfaces.http.options import HttpOptions
from interfaces.http.pages import page, with_code
from interfaces.http.routes import Endpoint


@frozen
class Explanations:
    options: HttpOptions

    def routes(self) -> list[Endpoint]:
        return [Endpoint("GET", f"{self.options.errors_path}{{code}}", self.explain)]

    async def explain(self, request: Request) -> Response:
        code = request.path_params["code"]
        if code not in EXPLANATIONS:
            raise HTTPException(404)
        headers = {"Cache-Control": "no-cache"}
        explanation = EXPLANATIONS[code]
        if preferred(request.headers, ("text/html", JSON)) == JSON:
            return success({"code": code, **asdict(explanation)}, {**headers, "Vary": "Accept"})
        return page(
            request.headers,
            "explanation.html",
            more=headers,
            places=self.options.places,
            code=code,
            russian=with_code(explanation.russian),
            english=with_code(explanation.english),
        )
