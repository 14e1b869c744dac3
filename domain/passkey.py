"""
Passkeys (WebAuthn): keys that a person's devices hold, each for one account, and sign with after they have verified the person.

A passkey is both proofs in one: the device has the key, and it asked for a PIN, a finger or a face before it used it.
"""

from datetime import datetime
from typing import Final

from attrs import define, field, frozen
from attrs.setters import frozen as never

from domain.errors import Conflict, Forbidden, Invalid, NotFound
from domain.ids import AccountId, PasskeyId
from domain.text import refuse_unstorable

NAME_LIMIT: Final = 60


class PasskeyNameUnfit(Invalid):
    code = "passkey_name_unfit"


class PasskeyNotFound(NotFound):
    code = "passkey_not_found"


class PasskeysUnavailable(Conflict):
    """The operator of this messenger has not switched passkeys on."""

    code = "passkeys_unavailable"


class TooManyPasskeys(Conflict):
    """The account has as many as it may have: remove one first."""

    code = "too_many_passkeys"


class PasskeyTaken(Conflict):
    """The account has this passkey already."""

    code = "passkey_taken"


class PasskeyRefused(Forbidden):
    """The device's answer does not belong to the challenge, or the device did not verify the person."""

    code = "passkey_refused"


class PasskeyCopied(Forbidden):
    """The passkey has counted fewer uses than were seen of it: there is a second copy of its key."""

    code = "passkey_copied"


class ProofUnfit(Forbidden):
    """The proof by a passkey is not of this session, too old or used already."""

    code = "proof_unfit"


@frozen
class PasskeyName:
    """The name by which a person tells passkeys apart: 1 to 60 printable characters."""

    text: str = field()

    @text.validator
    def _is_one_line(self, _: object, text: str) -> None:
        if not text.strip() or len(text) > NAME_LIMIT or not text.isprintable():
            raise PasskeyNameUnfit
        refuse_unstorable(text)


@define(eq=False, kw_only=True)
class Passkey:
    id: PasskeyId = field(on_setattr=never)
    account_id: AccountId = field(on_setattr=never)
    credential_id: str = field(on_setattr=never)
    """The device's name for it, in base64url."""
    public_key: bytes = field(on_setattr=never, repr=False)
    """In the form of COSE, as the device gave it."""
    name: PasskeyName
    uses: int = 0
    """The number of uses that the device reports. Devices that copy passkeys to one another do not count, and report 0."""
    is_backed_up: bool = False
    """True if the passkey is stored in more than one place, and is not lost with the device."""
    created_at: datetime = field(on_setattr=never)
    last_used_at: datetime | None = None

    def use(self, uses: int, *, is_backed_up: bool, at: datetime) -> None:
        """
        Notes a use, after the signature was verified. ``uses`` is what the device has counted.

        Raises:
            PasskeyCopied: The device has counted no more than before, though it counts.
        """
        if (uses or self.uses) and uses <= self.uses:
            raise PasskeyCopied
        self.uses = uses
        self.is_backed_up = is_backed_up
        self.last_used_at = at

    def rename(self, name: PasskeyName) -> None:
        self.name = name
