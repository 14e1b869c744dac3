import logging
from base64 import b32decode
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import uuid4

import pytest

from domain.factor import RECOVERY_CODES, FactorsUnavailable, SealedSecret, step_at
from domain.ids import AccountId
from infrastructure.crypto.codes import SealedCodes, totp
from infrastructure.system.chance import unguessable

NOW = datetime(2026, 1, 1, 12, 0, 14, tzinfo=UTC)
ACCOUNT = AccountId(uuid4())
CODES = SealedCodes("a key of this test alone", unguessable)


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_the_examples_of_rfc_6238(seconds: int, code: str) -> None:
    """Appendix B, of which these are the last six digits of eight."""
    step = step_at(datetime.fromtimestamp(seconds, UTC))
    assert totp(b"12345678901234567890", step) == code


def test_the_application_gets_what_was_sealed() -> None:
    made = CODES.new_secret(ACCOUNT, "ann+1@example.com")
    present = step_at(NOW)
    code = totp(b32decode(made.shown), present)
    assert CODES.step_of(code, made.sealed, ACCOUNT, at=NOW) == present
    uri = urlsplit(made.uri)
    assert (uri.scheme, uri.netloc) == ("otpauth", "totp")
    assert unquote(uri.path) == "/Messenger:ann+1@example.com"
    assert parse_qs(uri.query) == {
        "secret": [made.shown],
        "issuer": ["Messenger"],
        "algorithm": ["SHA1"],
        "digits": ["6"],
        "period": ["30"],
    }
    assert made.shown not in repr(made)
    assert made.sealed.text not in repr(made)


def test_codes_of_the_neighbouring_steps_are_accepted_and_no_others() -> None:
    made = CODES.new_secret(ACCOUNT, "ann@example.com")
    present = step_at(NOW)
    for off in range(-3, 4):
        code = totp(b32decode(made.shown), present + off)
        expected = present + off if abs(off) <= 1 else None
        assert CODES.step_of(code, made.sealed, ACCOUNT, at=NOW) == expected


@pytest.mark.parametrize("code", ["", "12345", "1234567", "ABCDEF", "１２３４５６", "-12345"])
def test_what_is_no_code(code: str) -> None:
    made = CODES.new_secret(ACCOUNT, "ann@example.com")
    assert CODES.step_of(code, made.sealed, ACCOUNT, at=NOW) is None


def test_at_the_beginning_of_time_there_is_no_step_before() -> None:
    made = CODES.new_secret(ACCOUNT, "ann@example.com")
    code = totp(b32decode(made.shown), 0)
    assert CODES.step_of(code, made.sealed, ACCOUNT, at=datetime.fromtimestamp(0, UTC)) == 0


def test_a_secret_opens_for_its_account_and_key_alone(caplog: pytest.LogCaptureFixture) -> None:
    made = CODES.new_secret(ACCOUNT, "ann@example.com")
    code = totp(b32decode(made.shown), step_at(NOW))
    assert CODES.step_of(code, made.sealed, AccountId(uuid4()), at=NOW) is None
    for key in ("", "another key of this test"):
        assert SealedCodes(key, unguessable).step_of(code, made.sealed, ACCOUNT, at=NOW) is None
    assert SealedCodes("a key of this test alone", unguessable).step_of(code, made.sealed, ACCOUNT, at=NOW)
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 3
    assert "AUTH_FACTOR_KEY" in caplog.text


@pytest.mark.parametrize("damaged", ["", "abc", "====", "AAAA", "A" * 64, "ж" * 8])
def test_a_damaged_secret_makes_every_code_wrong(damaged: str) -> None:
    assert CODES.step_of("123456", SealedSecret(damaged), ACCOUNT, at=NOW) is None


def test_without_a_key_there_are_no_second_factors() -> None:
    off = SealedCodes("", unguessable)
    assert not off.is_available
    assert CODES.is_available
    with pytest.raises(FactorsUnavailable):
        off.new_secret(ACCOUNT, "ann@example.com")


def test_no_secret_is_made_twice_and_none_is_stored_openly() -> None:
    made = [CODES.new_secret(ACCOUNT, "ann@example.com") for _ in range(20)]
    assert len({each.shown for each in made}) == len({each.sealed.text for each in made}) == 20
    assert all(len(b32decode(each.shown)) == 20 for each in made)
    assert not any(each.shown in each.sealed.text for each in made)


def test_recovery_codes() -> None:
    codes = CODES.new_recovery_codes()
    assert len(set(codes)) == RECOVERY_CODES
    assert all(len(code.replace("-", "")) == 16 for code in codes)
    digests = {CODES.digest(code) for code in codes}
    assert len(digests) == RECOVERY_CODES
    for code in codes:
        assert CODES.digest(code.upper().replace("-", " ")) == CODES.digest(code)
        assert code.replace("-", "") not in CODES.digest(code).text
    # The key plays no part, so that recovery codes outlive it.
    assert SealedCodes("", unguessable).digest(codes[0]) == CODES.digest(codes[0])


def test_a_mark_changes_with_its_text() -> None:
    assert CODES.mark("one") == CODES.mark("one") != CODES.mark("two")
    assert "one" not in CODES.mark("one")


def test_time_passes_a_code_by() -> None:
    made = CODES.new_secret(ACCOUNT, "ann@example.com")
    code = totp(b32decode(made.shown), step_at(NOW))
    assert CODES.step_of(code, made.sealed, ACCOUNT, at=NOW + timedelta(seconds=45)) == step_at(NOW)
    assert CODES.step_of(code, made.sealed, ACCOUNT, at=NOW + timedelta(seconds=46)) is None
