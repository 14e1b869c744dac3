import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws

from application.errors import NotAuthenticated
from application.ports.tokens import ConfirmationToken, PendingToken, SessionToken, SessionTokenType
from domain.ids import AccountId, ConfirmationId, SessionId
from domain.session import Fingerprint
from infrastructure.crypto import tokens as tokens_module
from infrastructure.crypto.tokens import JwtTokens

SECRET = "a secret of this test alone, long enough"
NOW = datetime(2026, 11, 23, 3, 32, 9, tzinfo=UTC)
TOKENS = JwtTokens(SECRET, "messenger", "clients")
ACCESS = SessionToken(
    type=SessionTokenType.ACCESS,
    account_id=AccountId(UUID("11fa36cb-3b03-4664-855e-3273643848db")),
    email="user1@example.com",
    session_id=SessionId(UUID("22fa36cb-3b03-4664-855e-3273643848db")),
    token_id="jti",
    issued_at=NOW,
    expires_at=NOW + timedelta(minutes=30),
)
CONFIRMATION = ConfirmationToken(
    account_id=ACCESS.account_id,
    email="user1@example.com",
    confirmation_id=ConfirmationId(uuid4()),
    issued_at=NOW,
    expires_at=NOW + timedelta(days=2),
)

seconds = st.datetimes(min_value=datetime(2001, 1, 1), max_value=datetime(2100, 1, 1)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
)


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def decoded(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert isinstance(claims, dict)
    return claims


def signed(payload: object, header: object = None, secret: str = SECRET, raw: bytes | None = None) -> str:
    """A token made by hand, so that nothing of the library under test stands between."""
    head = encoded(json.dumps({"alg": "HS256", "typ": "JWT"} if header is None else header).encode())
    body = encoded(json.dumps(payload).encode() if raw is None else raw)
    signature = hmac.new(secret.encode(), f"{head}.{body}".encode(), hashlib.sha256).digest()
    return f"{head}.{body}.{encoded(signature)}"


def claims(**other: Any) -> dict[str, Any]:
    """Those of a good access token, with others in their place; None leaves one out."""
    usual = decoded(TOKENS.sign(ACCESS))
    return {name: value for name, value in (usual | other).items() if value is not None}


def refusal(token: str, at: datetime = NOW) -> str:
    with pytest.raises(NotAuthenticated) as refused:
        TOKENS.read_access(token, at=at)
    return refused.value.reason


def test_what_a_front_end_reads() -> None:
    assert decoded(TOKENS.sign(ACCESS)) == {
        "iss": "messenger",
        "aud": "clients",
        "sub": "11fa36cb-3b03-4664-855e-3273643848db",
        "sid": "22fa36cb-3b03-4664-855e-3273643848db",
        "jti": "jti",
        "iat": 1795404729,
        "exp": 1795406529,
        "userId": "11fa36cb-3b03-4664-855e-3273643848db",
        "email": "user1@example.com",
        "tokenType": "access",
    }
    assert TOKENS.sign(ACCESS).split(".")[0] == encoded(b'{"alg":"HS256","typ":"JWT"}')


def test_the_same_statement_is_the_same_text() -> None:
    assert (
        TOKENS.sign(ACCESS)
        == TOKENS.sign(evolve(ACCESS))
        == JwtTokens(SECRET, "messenger", "clients").sign(ACCESS)
    )


def test_one_made_by_hand_is_read() -> None:
    assert TOKENS.read_access(signed(claims()), at=NOW) == ACCESS


@given(
    kind=st.sampled_from(SessionTokenType),
    account=st.uuids(),
    session=st.uuids(),
    email=st.text(st.characters(exclude_categories=["Cs"]), max_size=254),
    jti=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40),
    at=seconds,
)
def test_session_tokens_say_what_was_signed(
    kind: SessionTokenType, account: UUID, session: UUID, email: str, jti: str, at: datetime
) -> None:
    token = SessionToken(
        type=kind,
        account_id=AccountId(account),
        email=email,
        session_id=SessionId(session),
        token_id=jti,
        issued_at=at,
        expires_at=at + timedelta(minutes=30),
    )
    read = TOKENS.read_access if kind is SessionTokenType.ACCESS else TOKENS.read_refresh
    assert read(TOKENS.sign(token), at=at) == token


def test_the_longest_address_fits() -> None:
    token = evolve(ACCESS, email="😀" * 254)
    assert TOKENS.read_access(TOKENS.sign(token), at=NOW) == token


def test_a_confirmation_says_what_was_signed() -> None:
    assert TOKENS.read_confirmation(TOKENS.sign(CONFIRMATION), at=NOW) == CONFIRMATION


def test_a_pending_sign_in_says_what_was_signed() -> None:
    pending = PendingToken(
        account_id=ACCESS.account_id,
        email="user1@example.com",
        fingerprint=Fingerprint("my-laptop"),
        password_mark="a mark",
        issued_at=NOW,
        expires_at=NOW + timedelta(minutes=5),
    )
    token = TOKENS.sign(pending)
    assert TOKENS.read_pending(token, at=NOW) == pending
    for read in (TOKENS.read_access, TOKENS.read_refresh, TOKENS.read_confirmation):
        with pytest.raises(NotAuthenticated, match="token_type"):
            read(token, at=NOW)
    for other in (ACCESS, evolve(ACCESS, type=SessionTokenType.REFRESH), CONFIRMATION):
        with pytest.raises(NotAuthenticated, match="token_type"):
            TOKENS.read_pending(TOKENS.sign(other), at=NOW)
    with pytest.raises(NotAuthenticated, match="token_expired"):
        TOKENS.read_pending(token, at=pending.expires_at)


def test_the_device_of_a_pending_sign_in_is_checked() -> None:
    for device in ("x" * 41, 1, None):
        token = signed(claims(tokenType="pending", device=device))
        with pytest.raises(NotAuthenticated, match="token_invalid"):
            TOKENS.read_pending(token, at=NOW)


WRONG: list[Any] = [None, 1, True, [], {}, 1e400, -1e20, 10**400]


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        (name, wrong)
        for name in ("iss", "aud", "sub", "sid", "jti", "userId", "email", "tokenType")
        for wrong in WRONG
    ]
    + [(name, wrong) for name in ("iat", "exp") for wrong in ("1795406529", 1.5, *WRONG) if wrong != 1]
    + [(name, "other") for name in ("iss", "aud", "sub", "sid", "userId", "iat", "exp")],
)
def test_every_claim_is_there_and_of_its_kind(name: str, wrong: Any) -> None:
    assert refusal(signed(claims(**{name: wrong}))) == "token_invalid"


def test_the_subject_is_the_account() -> None:
    assert refusal(signed(claims(sub=str(uuid4())))) == "token_invalid"


def test_times() -> None:
    token = TOKENS.sign(ACCESS)
    TOKENS.read_access(token, at=NOW + timedelta(minutes=30, microseconds=-1))
    assert refusal(token, NOW + timedelta(minutes=30)) == "token_expired"


def test_a_signature_is_checked_once_and_everything_else_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[object] = []
    tokens = JwtTokens(SECRET, TOKENS.issuer, TOKENS.audience)
    check = jws.validate_compact

    def note(*arguments: Any, **options: Any) -> Any:
        checked.append(arguments)
        return check(*arguments, **options)

    monkeypatch.setattr(jws, "validate_compact", note)
    token = tokens.sign(ACCESS)
    for _ in range(3):
        assert tokens.read_access(token, at=NOW) == ACCESS
    with pytest.raises(NotAuthenticated, match="token_expired"):
        tokens.read_access(token, at=NOW + timedelta(minutes=30))
    with pytest.raises(NotAuthenticated, match="token_type"):
        tokens.read_refresh(token, at=NOW)
    assert len(checked) == 1
    for _ in range(2):
        with pytest.raises(NotAuthenticated):
            tokens.read_access(token[:-4] + "AAAA", at=NOW)
    assert len(checked) == 3


def test_few_tokens_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens_module, "KNOWN_MOST", 2)
    tokens = JwtTokens(SECRET, TOKENS.issuer, TOKENS.audience)
    for number in range(5):
        tokens.read_access(tokens.sign(evolve(ACCESS, token_id=f"{number}")), at=NOW)
    assert [claims.token_id for claims in tokens._known.values()] == ["3", "4"]


def test_a_node_whose_clock_is_behind_says_so_once_and_signs_nobody_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tokens = JwtTokens(SECRET, TOKENS.issuer, TOKENS.audience)
    access, refresh = tokens.sign(ACCESS), tokens.sign(evolve(ACCESS, type=SessionTokenType.REFRESH))
    confirmation = tokens.sign(CONFIRMATION)
    assert tokens.read_access(access, at=NOW - timedelta(seconds=60)) == ACCESS
    assert caplog.messages == []
    behind = NOW - timedelta(minutes=10)
    for _ in range(3):
        tokens.read_access(access, at=behind)
        tokens.read_refresh(refresh, at=behind)
        tokens.read_confirmation(confirmation, at=behind)
    (said,) = caplog.messages
    assert "600 s behind" in said


def test_kinds() -> None:
    refresh = TOKENS.sign(evolve(ACCESS, type=SessionTokenType.REFRESH))
    confirmation = TOKENS.sign(CONFIRMATION)
    assert refusal(refresh) == "token_type"
    assert refusal(confirmation) == "token_type"
    assert refusal(signed(claims(tokenType="other"))) == "token_type"
    assert refusal(refresh, NOW + timedelta(days=60)) == "token_expired", (
        "before its kind, as in the original"
    )
    for read in (TOKENS.read_refresh, TOKENS.read_confirmation):
        with pytest.raises(NotAuthenticated) as refused:
            read(TOKENS.sign(ACCESS), at=NOW)
        assert refused.value.reason == "token_type"


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none", "typ": "JWT"},
        {"alg": "HS512", "typ": "JWT"},
        {"alg": "RS256", "typ": "JWT"},
        {"alg": "HS256"},
        {"alg": "HS256", "typ": "at+jwt"},
        {"alg": "HS256", "typ": "JWT", "kid": "1"},
        {"alg": "HS256", "typ": "JWT", "b64": False, "crit": ["b64"]},
        "alg",
        ["alg"],
        {"alg": "HS256", "typ": "JWT", "jwk": {"kty": "oct", "k": "AA"}},
    ],
)
def test_no_header_but_ours(header: object) -> None:
    assert refusal(signed(claims(), header)) == "token_invalid"


def test_no_signature_but_ours() -> None:
    token = TOKENS.sign(ACCESS)
    unsigned = token.rpartition(".")[0]
    for forged in (
        f"{unsigned}.",
        f"{unsigned}.!!!",
        f"{unsigned}.{encoded(b'0' * 32)}",
        signed(claims(), secret="the default of some public source tree"),
        JwtTokens("another secret, just as long as ours is", "messenger", "clients").sign(ACCESS),
    ):
        assert refusal(forged) == "token_invalid"


def test_tokens_of_other_houses() -> None:
    assert refusal(JwtTokens(SECRET, "other", "clients").sign(ACCESS)) == "token_invalid"
    assert refusal(JwtTokens(SECRET, "messenger", "other").sign(ACCESS)) == "token_invalid"


MALFORMED = [
    "",
    "garbage",
    "a.b.c",
    "..",
    "é.é.é",
    "\ud800",
    "a" * 10_000_000,
    signed(claims(), header=[]),
    signed(claims(), header=5),
    signed(None, raw=b"{not json"),
    signed(None, raw=b"\xff\xfe"),
    signed(None, raw=b"[" * 2000),
    TOKENS.sign(evolve(ACCESS, email="a" * 6000)),
]


@pytest.mark.parametrize("token", MALFORMED)
def test_what_is_no_token_at_all(token: str) -> None:
    assert refusal(token) == "token_invalid"
    with pytest.raises(NotAuthenticated) as refused:
        TOKENS.read_confirmation(token, at=NOW)
    assert refused.value.reason == "token_malformed"


@pytest.mark.parametrize("payload", [None, [], "text", 5, {}, [{}]])
def test_what_says_nothing(payload: object) -> None:
    assert refusal(signed(payload)) == "token_invalid"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=5), values, max_size=3),
    max_leaves=6,
)


@given(
    st.text(max_size=60)
    | st.builds(signed, json_values, header=json_values)
    | st.builds(
        lambda changed: signed(claims(**changed)),
        st.dictionaries(st.sampled_from(sorted(claims())), json_values, min_size=1),
    )
)
def test_nothing_but_a_refusal_comes_of_anything(token: str) -> None:
    for read in (TOKENS.read_access, TOKENS.read_refresh, TOKENS.read_confirmation):
        try:
            read(token, at=NOW)
        except NotAuthenticated:
            continue


@given(st.integers(0, 400), st.characters(categories=["L", "N", "P"]))
def test_a_token_with_one_character_changed_is_none(index: int, character: str) -> None:
    token = TOKENS.sign(ACCESS)
    index %= len(token)
    changed = token[:index] + character + token[index + 1 :]
    if changed != token:
        assert refusal(changed) == "token_invalid"


def test_the_key_does_not_show() -> None:
    assert SECRET not in repr(TOKENS)
