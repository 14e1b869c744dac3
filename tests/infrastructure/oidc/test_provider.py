"""A client of a provider that tells the truth, lies in every way, hangs, or changes its keys."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey

from application.errors import ProviderUnavailable
from application.ports.providers import ProvenIdentity, Returned
from domain.identity import ProviderRefused, Subject
from infrastructure.oidc.provider import KEYS_FOR, METADATA_FOR, PAUSE, OidcProvider
from infrastructure.oidc.transport import LARGEST, may_be_asked
from tests.identity_provider import CLIENT_ID, Answering, IdentityProvider, new_key, usual_key

CALLBACK = "https://chat.example/accounts/sign-in/provider/callback/example/"
NONCE, VERIFIER = "a nonce that nobody guesses", "v" * 43


@pytest.fixture
def there() -> Iterator[IdentityProvider]:
    with IdentityProvider().running() as provider:
        yield provider


def client(there: IdentityProvider, **more: Any) -> OidcProvider:
    registered = {name: more.pop(name) for name in ("scope", "secret") if name in more}
    return OidcProvider(
        registration=there.registration(**registered),
        redirect_uri=CALLBACK,
        deadline=more.pop("deadline", 20.0),
        **more,
    )


async def identified(
    there: IdentityProvider, ours: OidcProvider | None = None, *, nonce: str = NONCE, **returned: Any
) -> ProvenIdentity:
    ours = ours or client(there)
    url = await ours.address(state="state", nonce=NONCE, verifier=VERIFIER)
    back = there.visit(url)
    assert back.startswith(f"{CALLBACK}?code=code-")
    code = back.partition("code=")[2].partition("&")[0]
    brought = {"code": code, "issuer": there.issuer} | returned
    verifier = brought.pop("verifier", VERIFIER)
    return await ours.identify(
        Returned(**brought), nonce=nonce, verifier=verifier, at=datetime.fromtimestamp(there.now(), UTC)
    )


class TestTheTruth:
    async def test_a_person_is_identified(self, there: IdentityProvider) -> None:
        assert await identified(there) == ProvenIdentity(
            subject=Subject(there.issuer, there.subject), email=there.email, email_is_verified=True
        )

    @pytest.mark.parametrize("secret", ["", "s3cret of/the+client"])
    @pytest.mark.parametrize("methods", [None, ["client_secret_post"], ["client_secret_basic", "none"]])
    async def test_by_every_method_of_clients(
        self, there: IdentityProvider, secret: str, methods: list[str] | None
    ) -> None:
        if methods:
            there.change_metadata = lambda told: told | {"token_endpoint_auth_methods_supported": methods}
        assert (await identified(there, client(there, secret=secret))).subject.name == there.subject

    async def test_by_another_kind_of_key(self, there: IdentityProvider) -> None:
        there.key = ECKey.generate_key("P-256", {"kid": "ec"})
        assert (await identified(there)).subject.name == there.subject

    async def test_of_several_audiences_we_are_the_authorized_party(self, there: IdentityProvider) -> None:
        there.change_claims = lambda claims: claims | {"aud": ["another", CLIENT_ID], "azp": CLIENT_ID}
        assert (await identified(there)).subject.name == there.subject

    @pytest.mark.parametrize("off", [-50, 50])
    async def test_its_clock_may_differ_a_little(self, there: IdentityProvider, off: int) -> None:
        there.change_claims = lambda claims: (
            claims | {"iat": claims["iat"] + off, "exp": claims["iat"] + off + 5}
        )
        assert (await identified(there)).subject.name == there.subject

    @pytest.mark.parametrize("told", [False, None, "true", 1])
    async def test_only_true_says_that_an_address_is_verified(
        self, there: IdentityProvider, told: object
    ) -> None:
        there.change_claims = lambda claims: claims | {"email_verified": told}
        assert not (await identified(there)).email_is_verified

    @pytest.mark.parametrize(
        "told", [None, 7, ["a@b.example"], "a\nb@c.example", "a" * 300, "nul\x00@b.example"]
    )
    async def test_what_is_no_address_is_left_out(self, there: IdentityProvider, told: object) -> None:
        there.change_claims = lambda claims: claims | {"email": told}
        assert (await identified(there)).email is None

    async def test_the_address_may_be_told_later(self, there: IdentityProvider) -> None:
        there.tells_email_later = True
        found = await identified(there)
        assert (found.email, found.email_is_verified) == (there.email, True)
        there.change_userinfo = lambda told: told | {"sub": "somebody else"}
        with pytest.raises(ProviderRefused):
            await identified(there)

    async def test_the_address_of_the_page_is_complete(self, there: IdentityProvider) -> None:
        url = await client(there).address(state="the state", nonce="the nonce", verifier=VERIFIER)
        assert url.startswith(f"{there.issuer}/authorize?")
        assert VERIFIER not in url
        assert "code_challenge=" in url


Change = Callable[[Any], Any]

LIES: dict[str, Change] = {
    "another issuer": lambda claims: claims | {"iss": "https://accounts.other.example"},
    "an issuer like it": lambda claims: claims | {"iss": claims["iss"] + "/"},
    "no issuer": lambda claims: without(claims, "iss"),
    "another audience": lambda claims: claims | {"aud": "another"},
    "other audiences": lambda claims: claims | {"aud": ["another", "one more"], "azp": CLIENT_ID},
    "no audience": lambda claims: without(claims, "aud"),
    "an empty audience": lambda claims: claims | {"aud": []},
    "a number as audience": lambda claims: claims | {"aud": 7},
    "several audiences without a party": lambda claims: claims | {"aud": [CLIENT_ID, "another"]},
    "another party": lambda claims: claims | {"aud": [CLIENT_ID, "another"], "azp": "another"},
    "another party of one audience": lambda claims: claims | {"azp": "another"},
    "expired": lambda claims: claims | {"exp": claims["iat"] - 61},
    "no end": lambda claims: without(claims, "exp"),
    "an end that is a text": lambda claims: claims | {"exp": "tomorrow"},
    "an end that is true": lambda claims: claims | {"exp": True},
    "an endless end": lambda claims: claims | {"exp": float("nan")},
    "from the future": lambda claims: claims | {"iat": claims["iat"] + 120, "exp": claims["exp"] + 120},
    "long ago": lambda claims: claims | {"iat": claims["iat"] - 700},
    "no time of issue": lambda claims: without(claims, "iat"),
    "not yet good": lambda claims: claims | {"nbf": claims["iat"] + 120},
    "another nonce": lambda claims: claims | {"nonce": "another"},
    "no nonce": lambda claims: without(claims, "nonce"),
    "an empty nonce": lambda claims: claims | {"nonce": ""},
    "a list of nonces": lambda claims: claims | {"nonce": [claims["nonce"]]},
    "no name": lambda claims: without(claims, "sub"),
    "an empty name": lambda claims: claims | {"sub": ""},
    "a number as name": lambda claims: claims | {"sub": 1},
    "a long name": lambda claims: claims | {"sub": "1" * 256},
    "a name that nobody can read": lambda claims: claims | {"sub": "a\x00b"},
    "a name beyond ASCII": lambda claims: claims | {"sub": "Анна"},
    "of another access token": lambda claims: claims | {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
    "no object": lambda _: ["iss"],
    "nothing": lambda _: None,
}


def without(claims: dict[str, Any], name: str) -> dict[str, Any]:
    return {each: value for each, value in claims.items() if each != name}


class TestLies:
    @pytest.mark.parametrize("lie", LIES)
    async def test_a_wrong_claim_is_not_believed(self, there: IdentityProvider, lie: str) -> None:
        there.change_claims = LIES[lie]
        with pytest.raises(ProviderRefused):
            await identified(there)

    async def test_the_nonce_is_of_this_visit(self, there: IdentityProvider) -> None:
        with pytest.raises(ProviderRefused):
            await identified(there, nonce="of another visit")

    async def test_unsigned(self, there: IdentityProvider) -> None:
        there.change_header = lambda header: header | {"alg": "none"}
        # Of an access token, whose hash is of the kind that the signature has.
        there.change_claims = lambda claims: {name: claims[name] for name in claims if name != "at_hash"}
        there.change_metadata = lambda told: (
            told | {"id_token_signing_alg_values_supported": ["RS256", "none"]}
        )
        with pytest.raises(ProviderRefused):
            await identified(there)

    async def test_signed_by_another_key_of_the_same_name(self, there: IdentityProvider) -> None:
        there.signing = usual_key("other")
        with pytest.raises(ProviderRefused):
            await identified(there)

    @pytest.mark.parametrize("form", ["pem", "jwk"])
    async def test_signed_by_the_public_key_as_a_secret(self, there: IdentityProvider, form: str) -> None:
        public = (
            usual_key().as_pem(private=False)
            if form == "pem"
            else json.dumps(usual_key().as_dict(private=False)).encode()
        )
        there.secret = public
        there.change_header = lambda header: header | {"alg": "HS256"}
        there.change_metadata = lambda told: (
            told | {"id_token_signing_alg_values_supported": ["RS256", "HS256"]}
        )
        with pytest.raises(ProviderRefused):
            await identified(there)

    async def test_signed_by_a_secret_that_it_publishes(self, there: IdentityProvider) -> None:
        secret = OctKey.import_key(b"k" * 32, {"kid": "open"})
        there.secret = b"k" * 32
        there.change_keys = lambda keys: {"keys": [*keys["keys"], secret.as_dict(private=True)]}
        there.change_header = lambda _: {"alg": "HS256", "kid": "open"}
        there.change_metadata = lambda told: (
            told | {"id_token_signing_alg_values_supported": ["RS256", "HS256"]}
        )
        with pytest.raises(ProviderRefused):
            await identified(there)

    async def test_signed_by_the_secret_of_the_client(self, there: IdentityProvider) -> None:
        there.secret = there.registration().client_secret.encode()
        there.change_header = lambda header: header | {"alg": "HS256"}
        with pytest.raises(ProviderRefused):
            await identified(there)

    async def test_signed_by_a_key_that_it_names_itself(self, there: IdentityProvider) -> None:
        there.signing = usual_key("other")
        there.change_header = lambda header: (
            header | {"jwk": usual_key("other").as_dict(private=False), "kid": "other"}
        )
        with pytest.raises(ProviderRefused):
            await identified(there)

    async def test_signed_by_a_key_for_encryption(self, there: IdentityProvider) -> None:
        there.published = [usual_key("other"), usual_key()]
        there.change_keys = lambda keys: {"keys": [keys["keys"][0], keys["keys"][1] | {"use": "enc"}]}
        with pytest.raises(ProviderRefused):
            await identified(there)

    async def test_signed_in_a_way_that_it_does_not_offer(self, there: IdentityProvider) -> None:
        there.change_header = lambda header: header | {"alg": "PS256"}
        with pytest.raises(ProviderRefused):
            await identified(there)

    async def test_headers_that_have_to_be_understood(self, there: IdentityProvider) -> None:
        there.change_header = lambda header: header | {"crit": ["b64"], "b64": False}
        with pytest.raises((ProviderRefused, ProviderUnavailable)):
            await identified(there)

    @pytest.mark.parametrize("text", [None, 7, "", "nonsense", "a.b.c", "e30.e30.e30", "x" * 200_000])
    async def test_what_is_no_statement_at_all(self, there: IdentityProvider, text: object) -> None:
        there.change_token = lambda token: token | {"id_token": text}
        with pytest.raises(ProviderRefused):
            await identified(there)

    async def test_the_code_is_of_this_visit(self, there: IdentityProvider) -> None:
        with pytest.raises(ProviderRefused):
            await identified(there, code="code-9")
        with pytest.raises(ProviderRefused):
            await identified(there, verifier="w" * 43)

    @pytest.mark.parametrize("issuer", [None, "https://accounts.other.example"])
    async def test_who_sends_back_names_itself(self, there: IdentityProvider, issuer: str | None) -> None:
        with pytest.raises(ProviderRefused):
            await identified(there, issuer=issuer)

    async def test_a_name_counts_though_it_was_not_promised(self, there: IdentityProvider) -> None:
        there.change_metadata = lambda told: without(told, "authorization_response_iss_parameter_supported")
        assert (await identified(there, issuer=None)).subject.name == there.subject
        with pytest.raises(ProviderRefused):
            await identified(there, issuer="https://accounts.other.example")


NONSENSE: dict[str, Change] = {
    "another issuer": lambda told: told | {"issuer": "https://accounts.other.example"},
    "no issuer": lambda told: without(told, "issuer"),
    "no keys": lambda told: without(told, "jwks_uri"),
    "no page": lambda told: without(told, "authorization_endpoint"),
    "no exchange": lambda told: told | {"token_endpoint": None},
    "an exchange inside": lambda told: told | {"token_endpoint": "http://10.0.0.7/token"},
    "keys inside": lambda told: told | {"jwks_uri": "http://localhost:5432/"},
    "keys in a file": lambda told: told | {"jwks_uri": "file:///etc/passwd"},
    "a page that is a script": lambda told: told | {"authorization_endpoint": "javascript:alert(1)"},
    "a list": lambda _: [],
    "a text": lambda _: "issuer",
}


class TestTrouble:
    @pytest.mark.parametrize("nonsense", NONSENSE)
    async def test_what_it_says_of_itself_makes_no_sense(
        self, there: IdentityProvider, nonsense: str
    ) -> None:
        there.change_metadata = NONSENSE[nonsense]
        with pytest.raises(ProviderUnavailable):
            await identified(there)

    @pytest.mark.parametrize("keys", [None, [], {"keys": 7}, {"keys": ["text"]}, {"keys": [{"kty": "RSA"}]}])
    async def test_its_keys_make_no_sense(self, there: IdentityProvider, keys: object) -> None:
        there.change_keys = lambda _: keys
        with pytest.raises((ProviderUnavailable, ProviderRefused)):
            await identified(there)

    @pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/token", "/jwks"])
    @pytest.mark.parametrize(
        "how", ["error", "huge", "endless", "packed", "redirect", "closed", "nonsense", "html"]
    )
    async def test_answers_that_are_none(self, there: IdentityProvider, path: str, how: str) -> None:
        there.raw[path] = HOW[how]
        with pytest.raises((ProviderUnavailable, ProviderRefused)):
            await identified(there)
        assert "/elsewhere" not in there.requests

    @pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/token", "/jwks"])
    async def test_one_that_hangs_is_left_in_time(self, there: IdentityProvider, path: str) -> None:
        there.raw[path] = hang
        began = time.monotonic()
        with pytest.raises(ProviderUnavailable):
            await identified(there, client(there, deadline=0.3))
        assert time.monotonic() - began < 15

    async def test_one_that_trickles_is_left_in_time(self, there: IdentityProvider) -> None:
        there.raw["/jwks"] = trickle
        with pytest.raises(ProviderUnavailable):
            await identified(there, client(there, deadline=0.5))

    async def test_nobody_is_there(self) -> None:
        with IdentityProvider().running() as gone:
            ours = client(gone)
        with pytest.raises(ProviderUnavailable):
            await ours.address(state="state", nonce=NONCE, verifier=VERIFIER)

    async def test_a_failure_is_not_repeated_for_a_while(self, there: IdentityProvider) -> None:
        at = 0.0
        ours = client(there, now=lambda: at)
        there.raw["/.well-known/openid-configuration"] = HOW["error"]
        for _ in range(5):
            with pytest.raises(ProviderUnavailable):
                await ours.address(state="state", nonce=NONCE, verifier=VERIFIER)
        assert len(there.requests) == 1
        there.raw.clear()
        at += PAUSE.total_seconds()
        assert await ours.address(state="state", nonce=NONCE, verifier=VERIFIER)

    async def test_many_at_once_ask_once(self, there: IdentityProvider) -> None:
        ours = client(there)
        async with asyncio.TaskGroup() as group:
            for _ in range(30):
                group.create_task(ours.address(state="state", nonce=NONCE, verifier=VERIFIER))
        assert there.requests == ["/.well-known/openid-configuration"]


class TestNewKeys:
    async def test_a_new_key_is_looked_for(self, there: IdentityProvider) -> None:
        at = 0.0
        ours = client(there, now=lambda: at)
        assert (await identified(there, ours)).subject.name == there.subject
        there.key = new_key("second")
        at += PAUSE.total_seconds()
        assert (await identified(there, ours)).subject.name == there.subject
        there.key = new_key("second")  # under the name of the one before
        at += PAUSE.total_seconds()
        assert (await identified(there, ours)).subject.name == there.subject
        assert there.requests.count("/jwks") == 3

    async def test_and_not_at_each_request(self, there: IdentityProvider) -> None:
        ours = client(there, now=lambda: 0.0)
        there.signing = usual_key("other")
        there.change_header = lambda header: header | {"kid": "unknown"}
        for _ in range(4):
            with pytest.raises(ProviderRefused):
                await identified(there, ours)
        assert there.requests.count("/jwks") == 1

    async def test_a_key_that_was_taken_back_is_believed_no_longer(self, there: IdentityProvider) -> None:
        at = 0.0
        ours = client(there, now=lambda: at)
        assert (await identified(there, ours)).subject.name == there.subject
        there.published = [usual_key("other")]
        assert (await identified(there, ours)).subject.name == there.subject
        at += KEYS_FOR.total_seconds()
        with pytest.raises(ProviderRefused):
            await identified(there, ours)

    async def test_what_it_says_of_itself_is_read_again(self, there: IdentityProvider) -> None:
        at = 0.0
        ours = client(there, now=lambda: at)
        for _ in range(3):
            await ours.address(state="state", nonce=NONCE, verifier=VERIFIER)
        assert len(there.requests) == 1
        at += METADATA_FOR.total_seconds()
        await ours.address(state="state", nonce=NONCE, verifier=VERIFIER)
        assert len(there.requests) == 2

    async def test_of_several_keys_the_named_one_counts(self, there: IdentityProvider) -> None:
        there.published = [usual_key("other"), usual_key(), RSAKey.generate_key(2048, {"kid": "third"})]
        assert (await identified(there)).subject.name == there.subject


@pytest.mark.parametrize(
    ("url", "is_fit"),
    [
        ("https://accounts.example/token", True),
        ("https://oauth2.other.example/token", True),
        ("https://id.corp.internal/token", True),  # the issuer's own host
        ("http://accounts.example/token", False),
        ("https://127.0.0.1/token", False),
        ("https://[::1]/token", False),
        ("https://10.1.2.3/token", False),
        ("https://2130706433/token", False),
        ("https://localhost/token", False),
        ("https://db.internal/token", False),
        ("https://db.internal./token", False),
        ("https://printer.local/token", False),
        ("https://postgres/token", False),
        ("https://user@accounts.example/token", False),
        ("https://accounts.example:port/token", False),
        ("https:///token", False),
        ("ftp://accounts.example/token", False),
        (None, False),
        (["https://accounts.example/"], False),
    ],
)
def test_addresses_that_a_provider_may_name(url: object, is_fit: bool) -> None:
    assert may_be_asked(url, "https://id.corp.internal") is is_fit


def hang(to: Answering) -> None:
    to.connection.settimeout(20)
    to.rfile.read(1)  # until the client gives up
    to.close_connection = True


def trickle(to: Answering) -> None:
    to.send_response(200)
    to.send_header("Content-Length", "100000")
    to.end_headers()
    try:
        for _ in range(200):
            to.wfile.write(b" ")
            time.sleep(0.05)
    except OSError:
        pass
    to.close_connection = True


def endless(to: Answering) -> None:
    to.send_response(200)
    to.end_headers()
    try:
        for _ in range(64):
            to.wfile.write(b" " * LARGEST)
    except OSError:
        pass
    to.close_connection = True


def redirect(to: Answering) -> None:
    to.answer(302, {}, Location="/elsewhere")


def closed(to: Answering) -> None:
    to.close_connection = True


def html(to: Answering) -> None:
    to.send_response(200)
    to.send_header("Content-Length", "6")
    to.end_headers()
    to.wfile.write(b"<html>")


HOW: dict[str, Callable[[Answering], None]] = {
    "error": lambda to: to.answer(500, {"error": "server_error"}),
    "huge": lambda to: to.answer(200, {"keys": ["x" * LARGEST]}),
    "endless": endless,
    "packed": lambda to: to.answer(200, {}, Content_Encoding="gzip"),
    "redirect": redirect,
    "closed": closed,
    "nonsense": lambda to: to.answer(200, ["nonsense"]),
    "html": html,
}
