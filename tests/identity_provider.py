"""
A provider of identities (OpenID Connect) that tests run: a real HTTP server with its own keys.

It tells the truth unless a test makes it lie: whatever it sends can be exchanged before it is sent.
"""

import hmac
import json
import threading
import time
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from attrs import Factory, define, field
from joserfc import jws
from joserfc.jwk import ECKey, KeySet, OctKey, OKPKey, RSAKey

from application.ports.providers import ProviderInfo
from infrastructure.oidc.registration import Registration

CLIENT_ID, CLIENT_SECRET = "messenger", "s3cret of/the+client"


def _encoded(part: bytes) -> str:
    return urlsafe_b64encode(part).decode().rstrip("=")


Key = RSAKey | ECKey | OKPKey | OctKey


def as_it_is(given: Any) -> Any:
    return given


def new_key(kid: str = "first") -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig"})


@cache
def usual_key(kid: str = "first") -> RSAKey:
    """Each time the same one of this name. To make one takes a tenth of a second of a processor, so only who needs it does."""
    return new_key(kid)


@define
class Asked:
    """What the browser came with."""

    redirect_uri: str
    nonce: str
    challenge: str
    used: bool = False


@define(eq=False)
class IdentityProvider:
    port: int = 0
    key: Key = Factory(usual_key)
    published: list[Key] = Factory(list)
    """The keys that it shows. Empty for the one that it signs with."""
    subject: str = "248289761001"
    email: str | None = "anna@example.com"
    email_verified: bool = True
    now: Callable[[], float] = time.time
    codes: dict[str, Asked] = Factory(dict)
    requests: list[str] = Factory(list)
    """The paths that were asked for."""
    change_metadata: Callable[[Any], Any] = as_it_is
    change_claims: Callable[[Any], Any] = as_it_is
    change_header: Callable[[Any], Any] = as_it_is
    change_token: Callable[[Any], Any] = as_it_is
    change_keys: Callable[[Any], Any] = as_it_is
    change_userinfo: Callable[[Any], Any] = as_it_is
    signing: Key | None = None
    """Signs with another key than the one that it shows."""
    secret: bytes = b""
    """Signs with it where the algorithm takes a secret."""
    forget_use: bool = False
    """Exchanges a code more than once."""
    tells_email_later: bool = False
    """Tells the address at the userinfo endpoint only."""
    raw: dict[str, Callable[["Answering"], None]] = Factory(dict)
    """Answers of its own, by path."""
    lock: Any = field(factory=threading.Lock)

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def registration(self, id: str = "example", **more: Any) -> Registration:
        trusts = more.pop("trusts_email", True)
        info = ProviderInfo(id=id, name=id.title(), issuer=self.issuer, trusts_email=trusts)
        return Registration(
            info=info, client_id=CLIENT_ID, client_secret=more.pop("secret", CLIENT_SECRET), **more
        )

    def metadata(self) -> Any:
        return self.change_metadata(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/jwks",
                "userinfo_endpoint": f"{self.issuer}/userinfo",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256", "ES256"],
                "authorization_response_iss_parameter_supported": True,
            }
        )

    def visit(self, url: str) -> str:
        """What a browser does there: a person signs in, and is sent back to the address that this returns."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert query["response_type"] == "code"
        assert query["client_id"] == CLIENT_ID
        assert query["code_challenge_method"] == "S256"
        assert "openid" in query["scope"].split()
        code = f"code-{len(self.codes)}"
        self.codes[code] = Asked(query["redirect_uri"], query["nonce"], query["code_challenge"])
        back = {"code": code, "state": query["state"], "iss": self.issuer}
        return f"{query['redirect_uri']}?{urlencode(back)}"

    def id_token(self, nonce: str, access_token: str) -> str:
        now = int(self.now())
        half = sha256(access_token.encode()).digest()[:16]
        claims = {
            "iss": self.issuer,
            "sub": self.subject,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "nonce": nonce,
            "at_hash": _encoded(half),
        }
        if not self.tells_email_later:
            claims |= {"email": self.email, "email_verified": self.email_verified}
        algorithm = {"RSA": "RS256", "EC": "ES256", "oct": "HS256"}[self.key.key_type]
        header = self.change_header({"alg": algorithm, "kid": self.key.kid})
        payload = json.dumps(self.change_claims(claims))
        if header["alg"] in {"none", "HS256"}:  # no library signs such a thing for us
            signed = ".".join(_encoded(each.encode()) for each in (json.dumps(header), payload))
            return f"{signed}.{_encoded(hmac.digest(self.secret, signed.encode(), sha256)) if self.secret else ''}"
        registry = jws.JWSRegistry(algorithms=[header["alg"]], strict_check_header=False)
        return jws.serialize_compact(header, payload, self.signing or self.key, registry=registry)

    def jwks(self) -> Any:
        keys = KeySet(self.published or [self.key]).as_dict(private=False)
        return self.change_keys(keys)

    def exchange(self, form: dict[str, str], authorization: str) -> tuple[int, Any]:
        scheme, _, sent = authorization.partition(" ")
        if scheme == "Basic":
            id_, _, secret = b64decode(sent).decode().partition(":")
            client = unquote(id_), unquote(secret)
        else:
            client = form.get("client_id", ""), form.get("client_secret", "")
        if client not in {(CLIENT_ID, CLIENT_SECRET), (CLIENT_ID, "")}:
            return 401, {"error": "invalid_client"}
        with self.lock:
            asked = self.codes.get(form.get("code", ""))
            challenge = sha256(form.get("code_verifier", "").encode()).digest()
            is_right = (
                asked is not None
                and (self.forget_use or not asked.used)
                and form.get("grant_type") == "authorization_code"
                and form.get("redirect_uri") == asked.redirect_uri
                and _encoded(challenge) == asked.challenge
            )
            if not is_right or asked is None:
                return 400, {"error": "invalid_grant"}
            asked.used = True
        token = {
            "access_token": "an-access-token",
            "token_type": "Bearer",
            "expires_in": 3600,
            "id_token": self.id_token(asked.nonce, "an-access-token"),
        }
        return 200, self.change_token(token)

    def userinfo(self) -> Any:
        told = {"sub": self.subject, "email": self.email, "email_verified": self.email_verified}
        return self.change_userinfo(told)

    @contextmanager
    def running(self) -> Iterator["IdentityProvider"]:
        provider = self

        class Handler(Answering):
            of = provider

        server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        server.daemon_threads = True
        self.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


class Answering(BaseHTTPRequestHandler):
    of: IdentityProvider
    timeout = 30

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self.of.requests.append(path)
        if path in self.of.raw:
            self.of.raw[path](self)
        elif path == "/.well-known/openid-configuration":
            self.answer(200, self.of.metadata())
        elif path == "/jwks":
            self.answer(200, self.of.jwks())
        elif path == "/userinfo":
            known = self.headers.get("Authorization") == "Bearer an-access-token"
            self.answer(200 if known else 401, self.of.userinfo() if known else {})
        elif path == "/authorize":
            self.send_response(302)
            self.send_header("Location", self.of.visit(self.path))
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self.answer(404, {})

    def do_POST(self) -> None:
        path = urlsplit(self.path).path
        self.of.requests.append(path)
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        if path in self.of.raw:
            self.of.raw[path](self)
            return
        form = {name: values[0] for name, values in parse_qs(body).items()}
        self.answer(*self.of.exchange(form, self.headers.get("Authorization", "")))

    def answer(self, status: int, body: Any, **headers: str) -> None:
        encoded = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    def log_message(self, *_: Any) -> None:
        """Tests print nothing about requests."""
