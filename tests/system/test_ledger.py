"""The checker itself: it passes what is right, and names what is not."""

import pytest
from attrs import evolve

from tests.system.ledger import Ledger, Said, Stored, faults

CHAT = "chat"


def told(nonce: str, seq: int) -> dict[str, object]:
    return {"nonce": nonce, "id": f"id of {nonce}", "seq": seq}


@pytest.fixture
def ledger() -> Ledger:
    """Three sent; two acknowledged, the second twice; one unknown."""
    ledger = Ledger()
    for nonce in ("a", "b", "c"):
        ledger.send(Said(CHAT, nonce))
    ledger.ack(told("a", 1))
    ledger.ack(told("b", 2))
    ledger.ack(told("b", 2))
    ledger.hear({"message": {"chat_id": CHAT, "seq": 2, "id": "id of b"}})
    return ledger


def stored(nonce: str, seq: int) -> Stored:
    return Stored(f"id of {nonce}", seq, Said(CHAT, nonce).text)


A, B, C = stored("a", 1), stored("b", 2), stored("c", 3)


def test_what_is_right(ledger: Ledger) -> None:
    assert faults(ledger, {CHAT: [A, B]}) == []
    assert faults(ledger, {CHAT: [A, B, C]}) == []
    assert ledger.unanswered == {"c"}


@pytest.mark.parametrize(
    ("kept", "rules"),
    [
        ([A], {"lost", "vanished"}),
        ([A, evolve(B, seq=3)], {"hole", "moved", "vanished"}),
        ([B, A], {"hole"}),
        ([A, B, evolve(B, id="another", seq=3)], {"twice", "moved"}),
        ([A, B, evolve(A, text="text of c", seq=3)], {"twice"}),
        ([evolve(A, id="another"), B], {"moved"}),
        ([A, B, Stored("z", 3, "nobody said that")], {"phantom"}),
        ([A, C, evolve(B, seq=3)], {"hole", "moved", "vanished"}),
    ],
)
def test_what_is_not(ledger: Ledger, kept: list[Stored], rules: set[str]) -> None:
    assert {fault.split(":")[0] for fault in faults(ledger, {CHAT: kept})} == rules


def test_two_answers_that_differ(ledger: Ledger) -> None:
    ledger.ack(told("b", 3))
    assert "differs" in {fault.split(":")[0] for fault in faults(ledger, {CHAT: [A, B]})}
