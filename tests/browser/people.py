"""People with accounts, for the tests and the figures of the web client."""

import re
from itertools import count
from typing import Final

import httpx
from attrs import define

from tests.system.client import data
from tests.system.server import Server

PASSWORD: Final = "Кошка-и-чай-1"

_NUMBERS: Final = count(1)


def new_address() -> str:
    return f"web{next(_NUMBERS)}@example.com"


@define
class Somebody:
    name: str
    email: str
    profile_id: str
    token: str


def somebody(server: Server, first_name: str) -> Somebody:
    """Has an account with a confirmed address and a name."""
    email = new_address()
    with httpx.Client(base_url=server.url, timeout=30) as http:
        data(http.post("/accounts/sign-up/", json={"email": email, "password": PASSWORD}))
        letter = server.await_letter(email).get_body(("plain",))
        assert letter is not None
        found = re.search(r"token=([\w.-]+)", letter.get_content())
        assert found is not None
        body = {"confirmationToken": found[1], "fingerprint": "elsewhere"}
        token = data(http.post("/accounts/email/confirm/", json=body))["accessToken"]
        headers = {"Authorization": f"Bearer {token}"}
        profile = data(http.patch("/accounts/profile/", json={"firstName": first_name}, headers=headers))
    return Somebody(first_name, email, profile["id"], token)
