"""One person, one spelling, as clients meet it."""

import unicodedata

import pytest

from tests.interfaces.http.conftest import HttpWorld

EMAIL = "ann@example.com"


@pytest.mark.parametrize("email", ["a..b@example.com", "a@-example.com", "a@xn--a.com", "a@127.0.0.10"])
async def test_an_address_that_no_mail_can_be_sent_to(world: HttpWorld, email: str) -> None:
    answer = await world.client().post("/accounts/sign-up/", json={"email": email, "password": "Pass-Word-1"})
    assert answer.status_code == 422
    (fault,) = answer.json()["error"]["fields"]
    assert (fault["field"], fault["text"]) == (["body", "email"], "Value error, Email incorrect")


async def test_one_mailbox_is_one_account(world: HttpWorld) -> None:
    ids = set()
    for email in (
        "box@пример.рф",
        "box@xn--e1afmkfd.xn--p1ai",
        "BOX@ПРИМЕР.РФ",
        "box@ｘn--e1afmkfd.xn--p1ai",
    ):
        sent = {"email": email, "password": "Pass-Word-1"}
        ids.add((await world.client().post("/accounts/sign-up/", json=sent)).json()["data"]["id"])
    assert len(ids) == 1


async def test_a_password_in_either_form(world: HttpWorld) -> None:
    password = "Мой-чай-Ёлка-1"
    ann = await world.person(EMAIL)
    assert (await ann.client.post("/accounts/password/set/", json={"password": password})).status_code == 200
    for form in ("NFC", "NFD"):
        sent = {"email": EMAIL, "password": unicodedata.normalize(form, password)}
        assert (await world.client().post("/accounts/sign-in/", json=sent)).status_code == 200


@pytest.mark.parametrize(("first", "second"), [("boris", "ｂoris"), ("coco", "сосо"), ("paypal", "PaypaI")])
async def test_a_username_that_looks_taken(world: HttpWorld, first: str, second: str) -> None:
    ann, bob = await world.person(EMAIL), await world.person("bob@example.com")
    assert (await ann.client.patch("/accounts/profile/", json={"username": first})).status_code == 200
    answer = await bob.client.patch("/accounts/profile/", json={"username": second})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "USERNAME_TAKEN")


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("username", "\u3164" * 3),
        ("username", "\u2800" * 3),
        ("username", "bo\ufe0fris"),
        ("username", "аnna"),
        ("middleName", "\ufe0f"),
        ("firstName", "\u202eannA"),
    ],
)
async def test_a_name_of_nothing_visible(world: HttpWorld, field: str, text: str) -> None:
    ann = await world.person(EMAIL)
    answer = await ann.client.patch("/accounts/profile/", json={field: text})
    assert answer.status_code == 422
    assert answer.json()["error"]["fields"][0]["field"] == ["body", field]


@pytest.mark.parametrize("name", ["\u200b\u200b", "\u3164", "A\u202eB"])
async def test_a_chat_of_nothing_visible(world: HttpWorld, name: str) -> None:
    ann = await world.person(EMAIL)
    answer = await ann.client.post("/chats/", json={"name": name})
    assert answer.status_code == 422
    assert answer.json()["error"]["fields"][0]["field"] == ["body", "name"]
