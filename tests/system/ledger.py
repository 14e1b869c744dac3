"""What senders were told, and whether what is stored agrees with it."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define, field, frozen


@frozen
class Said:
    """One message that somebody wants stored; ``nonce`` is unlike every other's of the run, and in its text too."""

    chat_id: str
    nonce: str

    @property
    def text(self) -> str:
        return f"text of {self.nonce}"


@frozen
class Ack:
    id: str
    seq: int


@frozen
class Stored:
    """A message as it is found afterwards, in the database or in the history."""

    id: str
    seq: int
    text: str


@define(eq=False)
class Ledger:
    """``acks`` keeps every answer, also to repeats; ``heard`` what any socket was told, by chat and seq."""

    sent: dict[str, Said] = field(factory=dict)
    acks: dict[str, list[Ack]] = field(factory=lambda: defaultdict(list))
    heard: dict[tuple[str, int], set[str]] = field(factory=lambda: defaultdict(set))
    unanswered: set[str] = field(factory=set)
    _milestones: list[tuple[int, asyncio.Event]] = field(factory=list)

    def send(self, said: Said) -> None:
        self.sent[said.nonce] = said
        if said.nonce not in self.acks:
            self.unanswered.add(said.nonce)

    def ack(self, frame: Mapping[str, Any]) -> None:
        self.unanswered.discard(frame["nonce"])
        self.acks[frame["nonce"]].append(Ack(frame["id"], frame["seq"]))
        for count, reached in self._milestones:
            if len(self.acks) >= count:
                reached.set()

    def milestone(self, count: int) -> asyncio.Event:
        """Set when so many messages have been acknowledged."""
        reached = asyncio.Event()
        self._milestones.append((count, reached))
        return reached

    def hear(self, frame: Mapping[str, Any]) -> None:
        message = frame["message"]
        self.heard[message["chat_id"], message["seq"]].add(message["id"])


def faults(ledger: Ledger, kept: Mapping[str, Sequence[Stored]]) -> list[str]:
    """
    Where ``kept``, by chat and in the order of the history, is not what was promised: every acknowledged message there,
    once, with the id and seq it was acknowledged with; seqs from 1 without a hole; nothing that nobody sent; nothing
    heard that is not there. Begins each with a word for the rule.
    """
    found: list[str] = []
    by_text: dict[tuple[str, str], list[Stored]] = defaultdict(list)
    for chat_id, messages in kept.items():
        seqs = [message.seq for message in messages]
        if seqs != list(range(1, len(seqs) + 1)):
            found.append(f"hole: {chat_id} goes {seqs}")
        found += [f"twice: id {same}" for same, n in Counter(m.id for m in messages).items() if n > 1]
        for message in messages:
            by_text[chat_id, message.text].append(message)
    wanted = {(said.chat_id, said.text) for said in ledger.sent.values()}
    found += [f"phantom: {text}" for chat_id, text in by_text if (chat_id, text) not in wanted]
    for nonce, said in ledger.sent.items():
        there = by_text[said.chat_id, said.text]
        acks = set(ledger.acks.get(nonce, ()))
        if len(there) > 1:
            found.append(f"twice: {nonce} is stored {len(there)} times")
        if len(acks) > 1:
            found.append(f"differs: {nonce} was acknowledged as {sorted(ack.seq for ack in acks)}")
        if acks and not there:
            found.append(f"lost: {nonce} was acknowledged as {sorted(ack.seq for ack in acks)}")
        for ack in acks:
            found += [
                f"moved: {nonce}" for message in there if (message.id, message.seq) != (ack.id, ack.seq)
            ]
    places = {(chat_id, m.seq): m.id for chat_id, messages in kept.items() for m in messages}
    for place, ids in ledger.heard.items():
        if ids != {places.get(place)}:
            found.append(f"vanished: {place[1]} was heard as {sorted(ids)}")
    return found
