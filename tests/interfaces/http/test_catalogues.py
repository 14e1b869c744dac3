import httpx
import pytest

from application.catalogues.fill import FillCataloguesHandler
from config.data.catalogues import CATALOGUES
from tests.interfaces.http.conftest import HttpWorld

EN = {"Accept-Language": "en-GB,en;q=0.9"}


@pytest.fixture
async def client(world: HttpWorld) -> httpx.AsyncClient:
    await FillCataloguesHandler(catalogues=world.ports.storage.catalogues, shipped=CATALOGUES)()
    return (await world.person("ann@example.com")).client


async def test_the_original_list(client: httpx.AsyncClient) -> None:
    for headers in ({}, EN):
        answer = await client.get("/catalogues/test/", headers=headers)
        assert answer.status_code == 200
        assert answer.json() == {"status": "success", "data": [{"key": "test", "value": "Тест"}]}


async def test_the_list_of_lists(client: httpx.AsyncClient) -> None:
    answer = await client.get("/catalogues/")
    assert answer.json()["data"] == [
        {"key": "test", "value": "Проверка"},
        {"key": "countries", "value": "Страны"},
        {"key": "time-zones", "value": "Часовые пояса"},
    ]
    english = await client.get("/catalogues/", headers=EN)
    assert [each["value"] for each in english.json()["data"]] == ["Test", "Countries", "Time zones"]
    assert english.headers["vary"] == "Accept-Language"


async def test_each_that_is_listed_is_there(client: httpx.AsyncClient) -> None:
    for each, catalogue in zip((await client.get("/catalogues/")).json()["data"], CATALOGUES, strict=True):
        answer = await client.get(f"/catalogues/{each['key']}/")
        assert len(answer.json()["data"]) == len(catalogue.entries)


@pytest.mark.parametrize(
    ("asked", "value"),
    [
        (None, "Германия"),
        ("", "Германия"),
        ("*", "Германия"),
        ("fr-FR,fr;q=0.9", "Германия"),
        ("en", "Germany"),
        ("EN-us", "Germany"),
        ("ru,en;q=0.9", "Германия"),
        ("en;q=0.8, ru;q=0.9", "Германия"),
        ("fr, en;q=0.4, ru;q=0.1", "Germany"),
        ("en;q=0", "Германия"),
        ("en;q=nan", "Германия"),
        ("en;q=much", "Германия"),
        ("enough", "Германия"),
    ],
)
async def test_english_to_whoever_prefers_it(
    client: httpx.AsyncClient, asked: str | None, value: str
) -> None:
    headers = {} if asked is None else {"Accept-Language": asked}
    answer = await client.get("/catalogues/countries/", headers=headers)
    assert {each["key"]: each["value"] for each in answer.json()["data"]}["DE"] == value


@pytest.mark.parametrize("name", ["nope", "Test", "test%00", "time_zones", "a" * 200])
async def test_unknown_ones_are_unknown_paths(world: HttpWorld, client: httpx.AsyncClient, name: str) -> None:
    answer = await client.get(f"/catalogues/{name}/")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")
    person = await world.person("ben@example.com")
    bare = await world.client(person.token, original_statuses=True).get(f"/catalogues/{name}/")
    assert (bare.status_code, bare.json()) == (404, {"detail": "Not Found"})


@pytest.mark.parametrize("path", ["/catalogues/", "/catalogues/test/", "/catalogues/nope/"])
async def test_nobody_reads_them_unseen(world: HttpWorld, path: str) -> None:
    answer = await world.client().get(path)
    assert (answer.status_code, answer.json()["error"]["message"]) == (401, "Not authenticated")
