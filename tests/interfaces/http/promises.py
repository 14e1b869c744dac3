"""What `/openapi.json` says, to hold answers to: nothing may come that it does not name, not a field."""

import json
from functools import cached_property
from typing import Any, Final

import httpx
import jsonschema_rs
from attrs import define, field
from starlette.routing import Match
from starlette.types import Scope

from interfaces.app import create_app
from interfaces.http.limits import RATE_LIMIT, RATE_LIMIT_POLICY
from interfaces.http.openapi import document
from interfaces.http.options import HttpOptions
from interfaces.http.routes import Endpoint
from interfaces.wire.codec import dumps
from tests.frame_schemas import closed

Json = dict[str, Any]

SOMETIMES_LIMITED: Final = frozenset({"Accounts.set_password"})
"""Endpoints of which only some requests count for a limit: only an old password that is sent can be guessed."""


@define(eq=False, slots=False)
class Written:
    """A document, and what is made of it to hold answers to."""

    endpoints: list[Endpoint]
    options: HttpOptions
    validators: dict[str, jsonschema_rs.Draft202012Validator] = field(factory=dict)

    @cached_property
    def document(self) -> Json:
        written: Json = json.loads(dumps(document(self.endpoints, self.options)))
        return written

    @cached_property
    def components(self) -> Json:
        shut: Json = closed(self.document["components"])
        return shut


WRITTEN: Final[dict[object, Written]] = {}
"""By what a document is generated from. Making one for each client of each test would take most of the time of a test."""


@define(eq=False, slots=False)
class Promises:
    endpoints: list[Endpoint]
    options: HttpOptions

    @cached_property
    def written(self) -> Written:
        described = tuple((one.method, one.path, id(one.described)) for one in self.endpoints)
        return WRITTEN.setdefault((described, repr(self.options)), Written(self.endpoints, self.options))

    @property
    def document(self) -> Json:
        return self.written.document

    async def hold(self, answer: httpx.Response) -> None:
        """Compares the answer with the document if the document has its endpoint."""
        if endpoint := self.asked(answer.request):
            await answer.aread()
            self.assert_kept(endpoint, answer)

    def asked(self, request: httpx.Request) -> Endpoint | None:
        scope: Scope = {"type": "http", "method": request.method, "path": request.url.path, "root_path": ""}
        matching = (one for one in self.endpoints if one.matches(scope)[0] is Match.FULL)
        found = next(matching, None)
        return found if found and found.described else None

    def operation(self, endpoint: Endpoint) -> Json:
        operation: Json = self.document["paths"][endpoint.path][endpoint.method.lower()]
        return operation

    def assert_kept(self, endpoint: Endpoint, answer: httpx.Response) -> None:
        responses = self.operation(endpoint)["responses"]
        assert str(answer.status_code) in responses, answer.text
        said = responses[str(answer.status_code)]
        missing = [
            header
            for header, about in said.get("headers", {}).items()
            if about.get("required") and header not in answer.headers
        ]
        assert not missing
        for header in RATE_LIMIT, RATE_LIMIT_POLICY:
            if header not in said.get("headers", {}):
                assert header not in answer.headers, f"{endpoint.name_of_handler} promises no {header}"
            elif answer.is_success and endpoint.name_of_handler not in SOMETIMES_LIMITED:
                assert header in answer.headers, f"{endpoint.name_of_handler} promises {header}"
        if "content" not in said or answer.request.method == "HEAD":
            assert not answer.content
            return
        media_type = answer.headers["content-type"]
        name = f"{endpoint.method} {endpoint.path} {answer.status_code} {media_type}"
        validators = self.written.validators
        if name not in validators:
            whole = {**closed(said["content"][media_type]["schema"]), "components": self.written.components}
            validators[name] = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
        validators[name].validate(answer.json())


def promises_of(messenger: Any, options: HttpOptions) -> Promises:
    app = create_app(messenger, options, new_request_id=lambda: "made-here")
    return Promises([route for route in app.routes if isinstance(route, Endpoint)], options)
