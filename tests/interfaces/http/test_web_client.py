"""How the web client's page and files are served."""

import gzip
import json
import re
from hashlib import sha256
from pathlib import Path

import brotli
import httpx
import pytest
from starlette.applications import Starlette

from interfaces.http.options import HttpOptions
from interfaces.web import files
from interfaces.web.files import Files
from interfaces.web.site import HERE, WebClient


def client(**options: str) -> httpx.AsyncClient:
    site = WebClient(HttpOptions(**options))  # type: ignore[arg-type]
    transport = httpx.ASGITransport(Starlette(routes=site.routes()))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


def addresses(page: str) -> list[str]:
    return re.findall(r'(?:href|src)="([^"]+)"', page)


@pytest.mark.parametrize("path", ["/app/", "/chats/ui/"])
async def test_the_page_may_run_nothing_but_its_files(path: str) -> None:
    answer = await client().get(path, headers={"Accept-Language": "ru,en;q=0.5"})
    policy = dict(each.split(" ", 1) for each in answer.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["worker-src"] == "'self'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert policy["trusted-types"] == "messenger-worker"
    assert '<html lang="ru">' in answer.text
    assert not re.search(r"<script(?![^>]*src=)|<style|\son\w+=|style=", answer.text)


async def test_every_file_is_kept_forever_under_its_digest() -> None:
    async with client(prefix="/api", public_path="/chat") as http:
        found = addresses((await http.get("/api/app/")).text)
        assert len(found) > 10
        assert all(address.startswith("/chat/api/app/") for address in found)
        for address in found:
            answer = await http.get(address.removeprefix("/chat"))
            assert answer.status_code == 200, address
            is_manifest = address.endswith(".webmanifest")
            assert ("immutable" in answer.headers["Cache-Control"]) is not is_manifest
        other = re.sub(r"/app/[0-9a-f]{18}/", "/app/0123456789abcdef01/", found[-1])
        assert (await http.get(other.removeprefix("/chat"))).status_code == 404
        assert (await http.get(f"/api/app/{Files.read(HERE.parent).digest}/web/site.py")).status_code == 404


async def test_the_worker_is_of_the_version_of_its_files_and_may_only_ask_here() -> None:
    async with client(prefix="/api", public_path="/chat") as http:
        page = (await http.get("/api/app/")).text
        worker = await http.get("/api/app/worker.js")
    assert worker.headers["Cache-Control"] == "no-cache"
    assert worker.headers["Content-Security-Policy"] == (
        "default-src 'none'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    first, _, rest = worker.text.partition("\n")
    shell = json.loads(first.removeprefix("const SHELL = ").removesuffix(";"))
    read = Files.read(HERE.parent)
    assert shell == {
        "digest": read.digest,
        "page": "/chat/api/app/",
        "files": [f"/chat/api/app/{read.digest}/{path}" for path in read.by_path],
    }
    assert rest == (HERE / "worker.js").read_text()
    assert f'data-digest="{read.digest}"' in page
    assert 'data-worker="/chat/api/app/worker.js"' in page


async def test_the_manifest_speaks_the_browsers_language() -> None:
    async with client() as http:
        for language, name in (("ru", "Мессенджер"), ("en", "Messenger"), ("fr", "Messenger")):
            answer = await http.get("/app/manifest.webmanifest", headers={"Accept-Language": language})
            assert answer.json()["name"] == name
            assert answer.headers["Vary"] == "Accept-Language"
            for icon in answer.json()["icons"]:
                assert (await http.get(icon["src"])).headers["content-type"] == icon["type"]


async def test_files_are_compressed_as_the_browser_takes_them() -> None:
    async with client() as http:
        (address,) = {each for each in addresses((await http.get("/app/")).text) if each.endswith("/core.js")}
        sizes = {}
        for accepted, encoding in [
            ("gzip, deflate, br", "br"),
            ("gzip;q=1, br;q=0.5", "gzip"),
            ("br;q=0", None),
            ("identity", None),
        ]:
            async with http.stream("GET", address, headers={"Accept-Encoding": accepted}) as answer:
                content = b"".join([part async for part in answer.aiter_raw()])
            assert answer.headers.get("Content-Encoding") == encoding
            assert "Accept-Encoding" in answer.headers["Vary"]
            plain = {"br": brotli.decompress, "gzip": gzip.decompress, None: bytes}[encoding](content)
            assert plain == (HERE.parent / "clients/javascript/core.js").read_bytes()
            sizes[encoding] = len(content)
        assert sizes["br"] < sizes["gzip"] < sizes[None] / 2


def test_the_digest_is_of_names_and_contents(tmp_path: Path) -> None:
    folder = tmp_path / files.FOLDERS[0]
    folder.mkdir(parents=True)
    digests = set()
    for name, content in [("a.js", b"1"), ("b.js", b"1"), ("b.js", b"2"), ("c.txt", b"3")]:
        (folder / name).write_bytes(content)
        digests.add(Files.read(tmp_path).digest)
    assert len(digests) == 3
    assert Files.read(tmp_path).modules() == [f"{files.FOLDERS[0]}/a.js", f"{files.FOLDERS[0]}/b.js"]


def test_no_page_asks_for_anything_elsewhere() -> None:
    texts = {
        name: file.content.decode()
        for name, file in Files.read(HERE.parent).by_path.items()
        if not name.endswith(".png")
    }
    foreign = {
        name: found
        for name, text in texts.items()
        if (found := re.findall(r"https?://(?!www\.w3\.org/)[\w.]+", text)) and "/vendor/" not in name
    }
    assert foreign == {}
    assert [name for name, text in texts.items() if "innerHTML" in text and "/vendor/" not in name] == []


def test_what_is_vendored_is_unchanged() -> None:
    vendor = HERE / "static" / "vendor"
    listed = re.findall(r"\| `([\w.-]+)` \|.*`([0-9a-f]{64})`", (vendor / "README.md").read_text())
    assert {name for name, _ in listed} == {each.name for each in vendor.glob("*.js")}
    for name, digest in listed:
        assert sha256((vendor / name).read_bytes()).hexdigest() == digest


def test_it_can_be_switched_off() -> None:
    assert WebClient(HttpOptions(web_client=False)).routes() == []
