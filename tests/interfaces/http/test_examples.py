"""
Every request that the document shows is sent as it stands there, and succeeds, and every field has a description and an
example.

The messenger has the example people of LOCAL, to whom the examples belong. What no example can know in advance is in
`MADE`: the token of a letter, the id of a session, a refresh token, the cursor of a page.
"""

import re
from base64 import b32decode
from collections.abc import Iterator, Mapping
from typing import Any, Final
from uuid import UUID

import httpx
import jsonschema_rs
import pytest
from attrs import Factory, define

from application.catalogues.fill import FillCataloguesHandler
from application.examples.fill import FillExamplesHandler
from config.data.catalogues import CATALOGUES
from config.data.conversations import EXAMPLES
from domain.account import Password, PasswordPattern, PasswordRule
from domain.factor import step_at
from domain.ids import AccountId
from infrastructure.crypto.codes import totp
from infrastructure.crypto.common_passwords import common_passwords
from interfaces.http.openapi import document
from interfaces.http.options import HttpOptions
from interfaces.wire import examples
from interfaces.wire.codec import KEY
from tests.authenticator import Authenticator
from tests.interfaces.http.conftest import HttpWorld, make_world
from tests.interfaces.http.promises import promises_of

Json = dict[str, Any]

MADE: Final = frozenset(
    {
        "confirmationToken",
        "session_id",
        "refresh_token",
        "cursor",
        "pendingToken",
        "code",
        "token_id",
        "identity_id",
        "provider_visit",
        "token",
        "credential",
        "passkey_id",
    }
)

PROMISES: Final = promises_of(make_world().messenger, HttpOptions())

OPERATIONS: Final[Mapping[str, tuple[str, str, Json]]] = {
    operation["operationId"]: (method, path, operation)
    for path, operations in PROMISES.document["paths"].items()
    for method, operation in operations.items()
}


@define
class Visitor:
    """A client of a messenger with the example people, signed in as the document says."""

    world: HttpWorld
    client: httpx.AsyncClient
    recovery_codes: list[str] = Factory(list)
    device: Authenticator = Factory(Authenticator)
    answer: Json = Factory(dict)

    async def sign_in(self) -> None:
        signed_in = await self.call("accounts_sign_in")
        self.client.headers["Authorization"] = f"Bearer {signed_in.json()['data']['accessToken']}"

    async def restore_password(self) -> None:
        """Gives the account the password of the examples again, which is too weak to be chosen."""
        hashed = await self.world.ports.passwords.hash(examples.PASSWORD)
        async with self.world.ports.storage.begin() as work:
            account = await work.accounts.lock(AccountId(UUID(examples.ACCOUNT)))
            account.change_password(hashed)
            await work.accounts.save(account)

    async def made(self, name: str, operation_id: str) -> Any:
        """The value of a field that no example can know."""
        match name, operation_id:
            case "confirmationToken", "accounts_confirm_email":
                await self.call("accounts_sign_up")
                await self.world.deliver()
                return self.world.mailbox.tokens[-1]
            case "confirmationToken", _:
                await self.call("accounts_reset_password")
                await self.world.deliver()
                return self.world.mailbox.tokens[-1]
            case "session_id", _:
                sessions = (await self.client.get("/accounts/sessions/")).json()["data"]
                return str(sessions[0]["id"])
            case "token_id", _:
                return str((await self.call("accesstokens_make")).json()["data"]["id"])
            case "identity_id", _:
                linked = await self.call("providers_finish_link")
                return str(linked.json()["data"]["id"])
            case "token", _:
                return await self.asked(operation_id)
            case "credential", _:
                return self.answer
            case "passkey_id", _:
                return str((await self.call("passkeys_add")).json()["data"]["id"])
            case "provider_visit", "providers_finish":
                return await self.come_back("providers_begin")
            case "provider_visit", _:
                return await self.come_back("providers_begin_link")
            case "pendingToken", _:
                await self.recovery_code()
                return str((await self.call("accounts_sign_in")).json()["error"]["pendingToken"])
            case "code", "factors_confirm":
                secret = (await self.call("factors_set_up")).json()["data"]["secret"]
                return totp(b32decode(secret), step_at(self.world.clock.now()))
            case "code", _:
                return await self.recovery_code()
        return self.client.cookies["refresh_token"]

    async def asked(self, operation_id: str) -> str:
        """The token of a question that the person's device then answers."""
        if operation_id == "passkeys_add":
            begun = (await self.call("passkeys_begin")).json()["data"]
            self.answer = self.device.make(begun["options"])
            return str(begun["token"])
        if not self.device.held:
            await self.call("passkeys_add")
        begin = {"passkeys_sign_in": "passkeys_begin_sign_in", "passkeys_prove": "passkeys_begin_proof"}
        begun = (await self.call(begin[operation_id])).json()["data"]
        self.answer = self.device.use(begun["options"])
        return str(begun["token"])

    async def come_back(self, begin: str) -> str:
        """The cookie of a visit to a provider, from which somebody came back."""
        url = (await self.call(begin)).json()["data"]["url"]
        state = url.partition("state=")[2]
        query = {"code": f"{state}@accounts.example", "state": state}
        back = await self.client.get("/accounts/sign-in/provider/callback/example/", params=query)
        assert back.status_code == 303
        return self.client.cookies["provider_visit"]

    async def recovery_code(self) -> str:
        """A code that is good once, of a second factor that the account gets if it has none."""
        if not self.recovery_codes:
            self.recovery_codes = (await self.call("factors_confirm")).json()["data"]["recoveryCodes"]
        return self.recovery_codes.pop()

    async def forget_factor(self) -> None:
        """Takes the second factor and passkeys away, so that the next example finds the account as it was."""
        self.recovery_codes.clear()
        async with self.world.ports.storage.begin() as work:
            account = await work.accounts.lock(AccountId(UUID(examples.ACCOUNT)))
            await work.factors.remove(account.id)
            for passkey in await work.passkeys.of(account.id):
                await work.passkeys.remove(passkey)
        self.device.held.clear()

    async def call(self, operation_id: str, **optional: Any) -> httpx.Response:
        """Sends the example of an operation, with the optional parameters that are given."""
        if operation_id == "passkeys_begin_proof" and not self.device.held:
            await self.call("passkeys_add")
        method, path, operation = OPERATIONS[operation_id]
        headers: dict[str, str] = {}
        query: Json = {}
        for parameter in operation.get("parameters", []):
            name, within = parameter["name"], parameter["in"]
            value = parameter.get("example", optional.get(name))
            if name in MADE and (parameter["required"] or within == "cookie"):
                value = await self.made(name, operation_id)
            if value is None:
                continue
            match within:
                case "path":
                    path = path.replace(f"{{{name}}}", value)
                case "query":
                    query[name] = value
                case "header":
                    headers[name] = value
                case "cookie":
                    assert value == self.client.cookies[name]
        body: Json = {}
        if "requestBody" in operation:
            body = dict(operation["requestBody"]["content"]["application/json"]["example"])
            for name in sorted(MADE & body.keys(), reverse=True):  # a token before the answer to its question
                body[name] = await self.made(name, operation_id)
            return await self.client.request(method, path, params=query, headers=headers, json=body)
        return await self.client.request(method, path, params=query, headers=headers)


@pytest.fixture
async def visitor(world: HttpWorld) -> Visitor:
    ports = world.ports
    fill = FillExamplesHandler(
        script=EXAMPLES,
        begin=ports.storage.begin,
        begin_posting=ports.storage.begin_patient_posting,
        begin_marking=ports.storage.begin_marking,
        passwords=ports.passwords,
    )
    await fill()
    await FillCataloguesHandler(catalogues=ports.storage.catalogues, shipped=CATALOGUES)()
    visitor = Visitor(world, world.client())
    await visitor.sign_in()
    return visitor


LAST: Final = (
    "members_remove",
    "chats_delete",
    "sessions_revoke_others",
    "sessions_revoke",
    "accounts_sign_out",
    "accounts_set_password",
    "accounts_close_account",
)
"""What takes away something that other examples need, in an order in which each finds what it needs."""


async def test_every_example_works_as_it_stands(visitor: Visitor) -> None:
    assert set(LAST) <= OPERATIONS.keys()
    refused = {}
    for operation_id in (*(each for each in OPERATIONS if each not in LAST), *LAST):
        await visitor.sign_in()
        answer = await visitor.call(operation_id)
        await visitor.forget_factor()
        if operation_id == "accounts_set_password":
            await visitor.restore_password()
        visitor.world.clock.pass_by(minutes=1)
        if answer.status_code != 200:
            refused[operation_id] = answer.text
    assert refused == {}


def optional() -> Iterator[tuple[str, str]]:
    for operation_id, (_, _, operation) in OPERATIONS.items():
        for parameter in operation.get("parameters", []):
            if not parameter["required"] and parameter["in"] != "cookie":
                yield operation_id, parameter["name"]


async def test_so_do_the_examples_of_optional_parameters(visitor: Visitor) -> None:
    followed = set()
    for operation_id, name in optional():
        _, _, operation = OPERATIONS[operation_id]
        (value,) = (
            parameter["schema"]["examples"][0]
            for parameter in operation["parameters"]
            if parameter["name"] == name
        )
        if name == KEY:
            value = f"{value}-{operation_id}"  # a key belongs to one request
        if name == "cursor":
            link = (await visitor.call(operation_id, limit=1)).headers.get("link", "")
            if not (found := re.search(r"cursor=([^&>]+)", link)):
                continue  # the list has one page
            value = found[1]
            followed.add(operation_id)
        if name == "next":
            value = (await visitor.call(operation_id)).json()["data"]["frames"][-1]["next"]
            assert value is not None
        answer = await visitor.call(operation_id, **{name: value})
        assert answer.status_code == 200, (operation_id, name, answer.text)
        visitor.world.clock.pass_by(seconds=1)  # or the same text would be too frequent
    assert {"chats_read_all", "members_read"} <= followed


def test_what_an_example_cannot_know_is_little() -> None:
    named = {
        parameter["name"]
        for _, _, operation in OPERATIONS.values()
        for parameter in operation.get("parameters", [])
    }
    fields = {
        name
        for _, _, operation in OPERATIONS.values()
        if "requestBody" in operation
        for name in operation["requestBody"]["content"]["application/json"]["example"]
    }
    assert named | fields >= MADE


def places(node: Any, at: str) -> Iterator[tuple[str, Json]]:
    """Every field, parameter and header of the document, with the place where it is."""
    if isinstance(node, list):
        for index, each in enumerate(node):
            yield from places(each, f"{at}/{index}")
    if not isinstance(node, dict):
        return
    for name, each in node.items():
        if name in {"example", "examples"}:
            continue
        if name in {"properties", "headers"}:
            yield from ((f"{at}/{field}", inner) for field, inner in each.items())
        if name == "parameters":
            yield from ((f"{at}/{inner['name']}", inner) for inner in each)
        yield from places(each, f"{at}/{name}")


def has_example(field: Json) -> bool:
    """A field that consists of others has the examples of those. Of one value, and of null, no example is needed."""
    schema = field.get("schema", field)
    made_of_others = {"$ref", "anyOf", "items", "properties"} & schema.keys()
    return bool({"examples", "const"} & schema.keys() or made_of_others or schema["type"] == "null")


def test_every_field_has_a_description_and_an_example() -> None:
    fields = list(places(PROMISES.document, ""))
    assert len(fields) > 500
    assert [at for at, field in fields if not field.get("description")] == []
    assert [at for at, field in fields if not has_example(field)] == []


def test_every_operation_and_object_has_a_description() -> None:
    silent = [id for id, (_, _, operation) in OPERATIONS.items() if not operation.get("description")]
    assert silent == []
    schemas = PROMISES.document["components"]["schemas"]
    # The body of a request is described by its operation.
    bodies = {
        operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        for _, _, operation in OPERATIONS.values()
        if "requestBody" in operation
    }
    assert [
        name for name, schema in schemas.items() if name not in bodies and "description" not in schema
    ] == []
    assert all(tag.get("description") for tag in PROMISES.document["tags"])


def contents(node: Any) -> Iterator[Json]:
    if isinstance(node, dict):
        if "schema" in node and "example" in node:
            yield node
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from contents(each)


def schemas_with_examples(node: Any) -> Iterator[Json]:
    if isinstance(node, dict):
        if isinstance(node.get("examples"), list):
            yield node
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from schemas_with_examples(each)


def test_examples_are_what_their_schemas_say() -> None:
    written, components = PROMISES.document, {"components": PROMISES.document["components"]}
    cases = [(content["schema"], content["example"]) for content in contents(written)]
    cases += [(schema, schema["examples"][0]) for schema in schemas_with_examples(written)]
    assert len(cases) > 500
    seen: dict[str, jsonschema_rs.Draft202012Validator] = {}
    for schema, example in cases:
        key = repr(schema)
        if key not in seen:
            seen[key] = jsonschema_rs.Draft202012Validator({**schema, **components}, validate_formats=True)
        seen[key].validate(example)


def test_the_server_is_the_public_address() -> None:
    def servers(**options: Any) -> list[str]:
        written = document(PROMISES.endpoints, HttpOptions(**options))
        return [server["url"] for server in written["servers"]]  # type: ignore[attr-defined]

    assert servers(public_url="https://chat.example.com/m", public_path="/m") == [
        "https://chat.example.com/m"
    ]
    assert servers() == ["/"]


@pytest.mark.parametrize("pattern", PasswordPattern)
def test_the_password_of_the_examples_may_be_chosen(pattern: PasswordPattern) -> None:
    PasswordRule(pattern=pattern, common=common_passwords()).check(Password(examples.NEW_PASSWORD))
