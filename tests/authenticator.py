"""A device with passkeys, in software: it answers what a browser asks it, and can be made to answer wrongly in every way."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from hashlib import sha256
from os import urandom
from typing import Any

import cbor2
from attrs import Factory, define
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256

from infrastructure.passkeys.authenticators import WebAuthnDevices

CHAT_EXAMPLE = WebAuthnDevices(rp_id="chat.example", origin="https://chat.example", name="Messenger")
"""The messenger whose passkeys devices of tests have."""

PRESENT, VERIFIED, BACKED_UP, ATTESTED = 0x01, 0x04, 0x18, 0x40


def encoded(part: bytes) -> str:
    return urlsafe_b64encode(part).decode().rstrip("=")


def decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


@define
class Held:
    """A passkey on the device."""

    id: bytes
    key: EllipticCurvePrivateKey
    handle: bytes
    uses: int = 0


def as_it_is(given: Any) -> Any:
    return given


@define(eq=False)
class Authenticator:
    origin: str = "https://chat.example"
    rp_id: str | None = None
    """None for what it is asked for."""
    flags: int = PRESENT | VERIFIED
    counts: bool = True
    held: list[Held] = Factory(list)
    change_client_data: Callable[[Any], Any] = as_it_is
    change_answer: Callable[[Any], Any] = as_it_is
    format: str = "none"

    def make(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """`navigator.credentials.create`"""
        assert options["authenticatorSelection"]["userVerification"] == "required"
        assert options["authenticatorSelection"]["residentKey"] == "required"
        excluded = {decoded(each["id"]) for each in options["excludeCredentials"]}
        assert not excluded & {each.id for each in self.held}, "a browser refuses here"
        held = Held(urandom(32), generate_private_key(SECP256R1()), decoded(options["user"]["id"]))
        self.held.append(held)
        return self._made(options, held)

    def make_again(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The answer of a device that has made the passkey before, which a browser does not let it do."""
        return self._made(options, self.held[-1])

    def _made(self, options: Mapping[str, Any], held: Held) -> dict[str, Any]:
        point = held.key.public_key().public_numbers()
        public = cbor2.dumps(
            {1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")}
        )
        attested = bytes(16) + len(held.id).to_bytes(2, "big") + held.id + public
        data = self._data(options["rp"]["id"], self.flags | ATTESTED, 0) + attested
        client = self._client("webauthn.create", options["challenge"])
        answer = {
            "clientDataJSON": encoded(client),
            "attestationObject": encoded(cbor2.dumps({"fmt": self.format, "attStmt": {}, "authData": data})),
            "transports": ["internal"],
        }
        return self._credential(held, answer)

    def use(self, options: Mapping[str, Any], held: Held | None = None) -> dict[str, Any]:
        """`navigator.credentials.get`"""
        assert options["userVerification"] == "required"
        held = held or self.held[-1]
        allowed = [decoded(each["id"]) for each in options["allowCredentials"]]
        assert not allowed or held.id in allowed, "a browser finds none"
        if self.counts:
            held.uses += 1
        data = self._data(options["rpId"], self.flags, held.uses)
        client = self._client("webauthn.get", options["challenge"])
        signature = held.key.sign(data + sha256(client).digest(), ECDSA(SHA256()))
        answer = {
            "clientDataJSON": encoded(client),
            "authenticatorData": encoded(data),
            "signature": encoded(signature),
            "userHandle": encoded(held.handle),
        }
        return self._credential(held, answer)

    def _data(self, rp_id: str, flags: int, uses: int) -> bytes:
        return sha256((self.rp_id or rp_id).encode()).digest() + bytes([flags]) + uses.to_bytes(4, "big")

    def _client(self, kind: str, challenge: str) -> bytes:
        data = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return json.dumps(self.change_client_data(data)).encode()

    def _credential(self, held: Held, answer: dict[str, Any]) -> dict[str, Any]:
        changed: dict[str, Any] = self.change_answer(
            {
                "id": encoded(held.id),
                "rawId": encoded(held.id),
                "type": "public-key",
                "response": answer,
                "clientExtensionResults": {},
            }
        )
        return changed
