"""Passkeys by WebAuthn (py_webauthn): what browsers ask devices, and the checks of what they answer."""

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final
from uuid import UUID

import webauthn
from attrs import frozen
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, parse_attestation_object
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.options_to_json_dict import options_to_json_dict
from webauthn.helpers.structs import (
    AttestationConveyancePreference,
    AttestationFormat,
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from application.ports.authenticators import Json, MadeCredential, Presented, UsedCredential
from domain.ids import AccountId
from domain.passkey import Passkey, PasskeyRefused

ALGORITHMS: Final = [
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
]

MINUTES: Final = 5 * 60_000
"""Milliseconds that a browser waits for the person."""

CREDENTIAL_ID_LIMIT: Final = 1023
"""Bytes (WebAuthn, section 4, "Credential ID")."""

ATTESTATIONS: Final = {AttestationFormat.NONE, AttestationFormat.PACKED}
"""
The formats that browsers send if no attestation is asked for: none, or that of a device for itself. The others are certificates
of makers of devices, which are not asked for.
"""


@frozen(kw_only=True)
class WebAuthnDevices:
    rp_id: str
    """The host of our address. Passkeys are good for it alone."""
    origin: str
    """Our address, as browsers name it. Answers that were given to pages of another one are refused."""
    name: str
    """The name of this messenger for people."""

    def options_to_make(
        self, challenge: str, account_id: AccountId, email: str, known: Sequence[str]
    ) -> Json:
        return options_to_json_dict(
            webauthn.generate_registration_options(
                rp_id=self.rp_id,
                rp_name=self.name,
                user_id=account_id.bytes,
                user_name=email,
                user_display_name=email,
                challenge=challenge.encode(),
                timeout=MINUTES,
                attestation=AttestationConveyancePreference.NONE,
                authenticator_selection=AuthenticatorSelectionCriteria(
                    resident_key=ResidentKeyRequirement.REQUIRED,
                    user_verification=UserVerificationRequirement.REQUIRED,
                ),
                exclude_credentials=_descriptors(known),
                supported_pub_key_algs=ALGORITHMS,
            )
        )

    def options_to_use(self, challenge: str, known: Sequence[str] = ()) -> Json:
        return options_to_json_dict(
            webauthn.generate_authentication_options(
                rp_id=self.rp_id,
                challenge=challenge.encode(),
                timeout=MINUTES,
                allow_credentials=_descriptors(known),
                user_verification=UserVerificationRequirement.REQUIRED,
            )
        )

    def made(self, credential: Json, challenge: str) -> MadeCredential:
        with _refusing():
            parsed = webauthn.helpers.parse_registration_credential_json(dict(credential))
            if parse_attestation_object(parsed.response.attestation_object).fmt not in ATTESTATIONS:
                raise PasskeyRefused
            made = webauthn.verify_registration_response(
                credential=parsed,
                expected_challenge=challenge.encode(),
                expected_rp_id=self.rp_id,
                expected_origin=self.origin,
                require_user_verification=True,
                supported_pub_key_algs=ALGORITHMS,
            )
        if len(made.credential_id) > CREDENTIAL_ID_LIMIT:
            raise PasskeyRefused
        return MadeCredential(
            credential_id=bytes_to_base64url(made.credential_id),
            public_key=made.credential_public_key,
            uses=made.sign_count,
            is_backed_up=made.credential_backed_up,
        )

    def presented(self, credential: Json) -> Presented:
        with _refusing():
            parsed = webauthn.helpers.parse_authentication_credential_json(dict(credential))
            handle = parsed.response.user_handle
            return Presented(
                account_id=AccountId(UUID(bytes=handle)) if handle else None,
                credential_id=bytes_to_base64url(parsed.raw_id),
            )

    def used(self, credential: Json, challenge: str, passkey: Passkey) -> UsedCredential:
        with _refusing():
            used = webauthn.verify_authentication_response(
                credential=dict(credential),
                expected_challenge=challenge.encode(),
                expected_rp_id=self.rp_id,
                expected_origin=self.origin,
                credential_public_key=passkey.public_key,
                credential_current_sign_count=0,
                require_user_verification=True,
            )
        if bytes_to_base64url(used.credential_id) != passkey.credential_id:
            raise PasskeyRefused
        return UsedCredential(uses=used.new_sign_count, is_backed_up=used.credential_backed_up)


def _descriptors(known: Sequence[str]) -> list[Any]:
    return [PublicKeyCredentialDescriptor(id=base64url_to_bytes(each)) for each in known]


@contextmanager
def _refusing() -> Iterator[None]:
    """
    Refuses what a device did not write as it should. The library raises errors of its own for most of it, and those of what it
    is made of for the rest.
    """
    try:
        yield
    except (
        WebAuthnException,
        InvalidSignature,
        UnsupportedAlgorithm,
        struct.error,
        ValueError,
        TypeError,
        AttributeError,
        LookupError,
        OverflowError,
        RecursionError,
    ):
        raise PasskeyRefused from None
