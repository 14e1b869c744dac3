"""`/asyncapi.json` is a valid document with every frame of the registry, and its examples are what it says."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import pytest

from interfaces.http.asyncapi import document
from interfaces.http.options import ApiInfo, HttpOptions
from interfaces.wire.codec import dumps
from interfaces.wire.registry import ERRORS, Channel, of_clients, of_server
from interfaces.ws.closing import CloseCode
from tests.system.test_generated_clients import NODE, with_node

Json = dict[str, Any]

OFFICIAL: Final = NODE / "@asyncapi" / "specs" / "schemas" / "3.0.0-without-$id.json"
"""The schema of the AsyncAPI Initiative, in a package that spectral brings along."""

PUBLIC: Final = HttpOptions(
    public_url="https://chat.example.com/m",
    public_path="/m",
    prefix="/api",
    about=ApiInfo(contact_name="Anna", contact_email="anna@example.com"),
)


PLAIN: Final = HttpOptions()


@cache
def written(options: HttpOptions = PLAIN) -> Json:
    made: Json = json.loads(dumps(document(options)))
    return made


@pytest.fixture(scope="module")
def official() -> jsonschema_rs.Draft7Validator:
    return jsonschema_rs.Draft7Validator(json.loads(Path(OFFICIAL).read_text()))


@with_node
@pytest.mark.parametrize("options", [PLAIN, PUBLIC], ids=["plain", "public"])
def test_it_is_asyncapi(official: jsonschema_rs.Draft7Validator, options: HttpOptions) -> None:
    official.validate(written(options))
    broken = {**written(options), "channels": {"chat": {"addres": "/"}}}
    assert not official.is_valid(broken)


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(found := node.get("$ref"), str):
            yield found
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from references(each)


def test_every_reference_leads_somewhere() -> None:
    found = set(references(written()))
    assert len(found) > 100
    for reference in found:
        at: Any = written()
        for name in reference.removeprefix("#/").split("/"):
            at = at[name]
        assert at


def test_every_frame_is_a_message_and_every_request_an_operation() -> None:
    for channel in Channel:
        messages = written()["channels"][channel]["messages"]
        answers = {row.answer_key for row in of_clients(channel) if row.answer}
        described = {row.key for row in of_clients(channel)} | {row.key for row in of_server(channel)}
        assert set(messages) == described | answers
        asked = {f"{channel}.{row.type}" for row in of_clients(channel)}
        there = {name for name in written()["operations"] if name.startswith(f"{channel}.")}
        assert there == asked | {f"{channel}.tell"}
        closes = written()["channels"][channel]["x-close-codes"]
        assert {close["code"] for close in closes} == set(CloseCode)
    assert set(written()["x-error-codes"]) == set(ERRORS)


def test_examples_are_what_their_schemas_say() -> None:
    components = {"components": written()["components"]}
    for name, message in written()["components"]["messages"].items():
        (example,) = message["examples"]
        whole = {**message["payload"], **components}
        jsonschema_rs.Draft7Validator(whole, validate_formats=True).validate(example["payload"])
        assert example["payload"]["type"] == message["name"], name


def test_a_reference_has_nothing_beside_it() -> None:
    """Draft 7, which AsyncAPI builds on, ignores what stands beside one."""

    def lonely(node: Any) -> Iterator[bool]:
        if isinstance(node, dict):
            if "$ref" in node:
                yield len(node) == 1
            node = list(node.values())
        if isinstance(node, list):
            for each in node:
                yield from lonely(each)

    assert all(lonely(written()))


def test_errors_list_their_codes() -> None:
    def codes(name: str) -> set[str]:
        payload = written()["components"]["messages"][name]["payload"]
        return set(payload["properties"]["code"]["enum"])

    assert "nonce_reused" in codes("Error")
    assert "key_reused" in codes("Refused") - codes("Error")
    assert "token_expired" in codes("AuthError") - codes("Refused")
    assert codes("Error") | codes("Refused") | codes("AuthError") == set(ERRORS)


def test_the_server_is_the_public_address() -> None:
    def addresses(options: HttpOptions) -> list[tuple[str, str, str | None]]:
        servers = written(options)["servers"].values()
        return [(server["protocol"], server["host"], server.get("pathname")) for server in servers]

    assert addresses(PUBLIC) == [(name, "chat.example.com", "/m") for name in ("wss", "https")]
    assert written(PUBLIC)["channels"]["allChats"]["address"] == "/api/ws"
    assert written(PUBLIC)["info"]["externalDocs"]["url"] == "https://chat.example.com/m/api/docs/events"
    local = HttpOptions(public_url="http://localhost:8788")
    assert addresses(local) == [(name, "localhost:8788", None) for name in ("ws", "http")]
