"""
One provider of identities (OpenID Connect Core and Discovery, by Authlib), as its client: what it says of itself, its keys, and
its statements about people.

What a provider says is trusted to be about its people, and nothing else is: every answer is bounded in time and size, and every
statement (ID token) is checked for its signature and for each claim.
"""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Final, NoReturn, TypeVar

import httpx2
from attrs import Factory, define
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oidc.core import CodeIDToken
from authlib.oidc.discovery import get_well_known_url
from joserfc import jws
from joserfc.errors import BadSignatureError, InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from application.errors import ProviderUnavailable
from application.ports.providers import ProvenIdentity, ProviderInfo, Returned
from domain.account import EMAIL_LIMIT
from domain.identity import SUBJECT_LIMIT, ProviderRefused, Subject
from infrastructure.oidc.registration import Registration
from infrastructure.oidc.transport import Bounded, may_be_asked

T = TypeVar("T")

logger = logging.getLogger(__name__)

ALGORITHMS: Final = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
)
"""
Signatures by a key that only the provider has. None of these takes a secret, so that a public key cannot be used as one, and
`none` is not among them (RFC 8725, section 2.1 and 3.1).
"""

METADATA_FOR: Final = timedelta(hours=1)
KEYS_FOR: Final = timedelta(minutes=10)
"""A key that a provider takes back is believed for this long at most."""
PAUSE: Final = timedelta(seconds=5)
"""Between two attempts to read something from a provider: after a failure, and for keys that are not known."""

AT_ONCE: Final = 20
"""Requests to a provider at once. One that hangs holds no more connections than this."""

LEEWAY: Final = 60
"""Seconds by which a provider's clock may differ from ours."""
OLDEST: Final = timedelta(minutes=10)
"""A statement is made when its code is exchanged, so that an older one is not about this sign-in."""


@define(eq=False)
class Kept:
    """Something that was read from a provider, for a while."""

    value: Any = None
    read_at: float | None = None
    failed_at: float | None = None


@define(eq=False, kw_only=True)
class OidcProvider:
    registration: Registration
    redirect_uri: str
    deadline: float
    """Seconds, for all requests to the provider that one step takes."""
    transport: Callable[[], httpx2.AsyncBaseTransport] = Bounded
    now: Callable[[], float] = time.monotonic
    _metadata: Kept = Factory(Kept)
    _keys: Kept = Factory(Kept)
    _reading: asyncio.Lock = Factory(asyncio.Lock)
    _places: asyncio.Semaphore = Factory(lambda: asyncio.Semaphore(AT_ONCE))

    @property
    def info(self) -> ProviderInfo:
        return self.registration.info

    async def address(self, *, state: str, nonce: str, verifier: str) -> str:
        async with self._asking() as client:
            metadata = await self._read_metadata(client)
            url, _ = client.create_authorization_url(
                metadata["authorization_endpoint"], state=state, code_verifier=verifier, nonce=nonce
            )
        return str(url)

    async def identify(
        self, returned: Returned, *, nonce: str, verifier: str, at: datetime
    ) -> ProvenIdentity:
        async with self._asking() as client:
            metadata = await self._read_metadata(client)
            named = metadata.get("authorization_response_iss_parameter_supported") is True
            if returned.issuer != self.info.issuer and (named or returned.issuer is not None):
                self._refuse("the person was sent back by another issuer (RFC 9207)")
            token = await self._exchange(client, metadata, returned.code, verifier)
            claims = await self._claims(client, metadata, token, nonce, at)
            subject = claims["sub"]
            if not (subject.isascii() and subject.isprintable() and 0 < len(subject) <= SUBJECT_LIMIT):
                self._refuse("its name for the person is no name")
            told = await self._told(client, metadata, claims)
        email = told.get("email")
        is_text = isinstance(email, str) and email.isprintable() and len(email) <= EMAIL_LIMIT
        return ProvenIdentity(
            subject=Subject(self.info.issuer, subject),
            email=email if is_text else None,
            email_is_verified=told.get("email_verified") is True,
        )

    async def _exchange(
        self, client: AsyncOAuth2Client, metadata: Mapping[str, Any], code: str, verifier: str
    ) -> Mapping[str, Any]:
        client.token_endpoint_auth_method = self._auth_method(metadata)
        try:
            token: Mapping[str, Any] = await client.fetch_token(
                metadata["token_endpoint"],
                grant_type="authorization_code",
                code=code,
                code_verifier=verifier,
                redirect_uri=self.redirect_uri,
            )
        except OAuthError as error:
            self._refuse(f"it does not exchange the code: {error.error}")
        return token

    def _auth_method(self, metadata: Mapping[str, Any]) -> str:
        if not self.registration.client_secret:
            return "none"
        known = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        return "client_secret_basic" if "client_secret_basic" in known else "client_secret_post"

    async def _claims(
        self,
        client: AsyncOAuth2Client,
        metadata: Mapping[str, Any],
        token: Mapping[str, Any],
        nonce: str,
        at: datetime,
    ) -> CodeIDToken:
        text = token.get("id_token")
        if not isinstance(text, str):
            self._refuse("its answer has no statement about the person")
        supported = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
        algorithms = [each for each in ALGORITHMS if each in supported]
        if not algorithms:
            self._refuse("it offers no signature that we trust")
        registry = jws.JWSRegistry(algorithms=algorithms, strict_check_header=False)
        try:
            signed = await self._verified(client, metadata, text, registry)
            claims = CodeIDToken(
                json.loads(signed.payload),
                signed.headers(),
                options={
                    "iss": {"essential": True, "value": self.info.issuer},
                    "aud": {"essential": True, "value": self.registration.client_id},
                },
                params={
                    "nonce": nonce,
                    "client_id": self.registration.client_id,
                    "access_token": token.get("access_token"),
                },
            )
            claims.validate(now=int(at.timestamp()), leeway=LEEWAY)
        except (JoseError, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
            # joserfc and Authlib raise other errors than their own for values of another type.
            self._refuse(f"its statement is not to be trusted: {type(error).__name__} {error}")
        if claims["iat"] < (at - OLDEST).timestamp() - LEEWAY:
            self._refuse("its statement is old")
        return claims

    async def _verified(
        self,
        client: AsyncOAuth2Client,
        metadata: Mapping[str, Any],
        text: str,
        registry: jws.JWSRegistry,
    ) -> jws.CompactSignature:
        keys = await self._read_keys(client, metadata)
        try:
            return jws.deserialize_compact(text, keys, registry=registry)
        except (BadSignatureError, InvalidKeyIdError):
            # The provider may have changed its keys since they were read.
            renewed = await self._read_keys(client, metadata, again=True)
            if renewed is keys:
                raise
            return jws.deserialize_compact(text, renewed, registry=registry)

    async def _told(
        self, client: AsyncOAuth2Client, metadata: Mapping[str, Any], claims: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Returns what the provider tells of the person beside the name, perhaps in a further answer (section 5.4)."""
        endpoint = metadata.get("userinfo_endpoint")
        if "email" in claims or endpoint is None:
            return claims
        self._require_own(endpoint)
        told = _object(await client.request("GET", endpoint))
        if told.get("sub") != claims["sub"]:  # section 5.3.2
            self._refuse("it tells of another person than it signed in")
        return told

    async def _read_metadata(self, client: AsyncOAuth2Client) -> Mapping[str, Any]:
        async def read() -> Mapping[str, Any]:
            url = get_well_known_url(self.info.issuer, external=True)
            found = _object(await client.request("GET", url, withhold_token=True))
            if found.get("issuer") != self.info.issuer:
                raise ProviderUnavailable("it says that it is another issuer")
            for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                self._require_own(found.get(name))
            return found

        return await self._kept(self._metadata, METADATA_FOR, read)

    async def _read_keys(
        self, client: AsyncOAuth2Client, metadata: Mapping[str, Any], *, again: bool = False
    ) -> KeySet:
        async def read() -> KeySet:
            found = _object(await client.request("GET", metadata["jwks_uri"], withhold_token=True)).get(
                "keys"
            )
            try:
                # A symmetric key in a public document is known to everybody.
                usable = [
                    each
                    for each in found or []
                    if each.get("kty") in {"RSA", "EC", "OKP"} and each.get("use", "sig") == "sig"
                ]
                return KeySet.import_key_set({"keys": usable})
            except (JoseError, ValueError, TypeError, AttributeError, KeyError) as error:
                raise ProviderUnavailable("its keys cannot be read") from error

        keys: KeySet = await self._kept(self._keys, PAUSE if again else KEYS_FOR, read)
        return keys

    async def _kept(self, kept: Kept, good_for: timedelta, read: Callable[[], Awaitable[T]]) -> T:
        """
        Returns what was read within ``good_for``. Of several that need it at once one reads it, and a failure is not repeated for a
        while.
        """
        async with self._reading:
            now = self.now()
            if kept.read_at is None or now - kept.read_at >= good_for.total_seconds():
                if kept.failed_at is not None and now - kept.failed_at < PAUSE.total_seconds():
                    raise ProviderUnavailable("it did not answer a moment ago")
                try:
                    kept.value = await read()
                except BaseException:
                    kept.failed_at = now
                    raise
                kept.read_at, kept.failed_at = now, None
            value: T = kept.value
            return value

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[AsyncOAuth2Client]:
        """A client for one step, whose requests together take no longer than the deadline."""
        try:
            async with (
                asyncio.timeout(self.deadline),
                self._places,
                # In a thread, because the first one reads the certificate authorities.
                self._client(await asyncio.to_thread(self.transport)) as client,
            ):
                yield client
        except ProviderUnavailable as error:
            self._complain(error)
            raise
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError) as error:
            self._complain(error)
            raise ProviderUnavailable from error
        except (
            AuthlibBaseError,
            JoseError,
            ValueError,
            TypeError,
            AttributeError,
            KeyError,
            RecursionError,
        ) as error:
            # Answers of another shape than they should have.
            self._complain(error)
            raise ProviderUnavailable from error

    def _complain(self, error: Exception) -> None:
        logger.warning(
            "a provider of identities does not answer as it should",
            extra={"provider": self.info.id, "error": f"{type(error).__name__} {error}"},
        )

    def _client(self, transport: httpx2.AsyncBaseTransport) -> AsyncOAuth2Client:
        return AsyncOAuth2Client(
            self.registration.client_id,
            self.registration.client_secret or None,
            scope=self.registration.scope,
            redirect_uri=self.redirect_uri,
            code_challenge_method="S256",
            timeout=self.deadline,
            follow_redirects=False,
            transport=transport,
        )

    def _require_own(self, url: object) -> None:
        if not may_be_asked(url, self.info.issuer):
            raise ProviderUnavailable(f"it names {url!r} as an address of its own")

    def _refuse(self, reason: str) -> NoReturn:
        logger.warning(
            "a provider of identities is not believed", extra={"provider": self.info.id, "error": reason}
        )
        raise ProviderRefused


def _object(response: httpx2.Response) -> Mapping[str, Any]:
    """
    The object that a successful answer has.

    Raises:
        ProviderUnavailable: It was no success, or has no object.
    """
    if response.status_code != httpx2.codes.OK:
        raise ProviderUnavailable(f"{response.url} answered {response.status_code}")
    try:
        found = response.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ProviderUnavailable(f"{response.url} has no JSON object")
    return found
