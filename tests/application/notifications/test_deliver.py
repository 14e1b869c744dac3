from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from attrs import define, field

from application.notifications.deliver import DeliverDueLettersHandler
from application.ports.mailer import NotDelivered
from domain.notification import Letter, Outcome
from tests.accounts_world import AccountsWorld, letters_in

LEASE = timedelta(minutes=5)


@define
class Carrier:
    """A mail server that answers as it is told, and sees what the worker sees."""

    answer: Callable[[Letter], Awaitable[None]]
    seen: list[str | None] = field(factory=list)

    async def send(self, letter: Letter, token: str | None) -> None:
        self.seen.append(token)
        await self.answer(letter)


def delivering(
    people: AccountsWorld, answer: Callable[[Letter], Awaitable[None]]
) -> DeliverDueLettersHandler:
    return DeliverDueLettersHandler(
        begin=people.begin, clock=people.clock, mailer=Carrier(answer), tokens=people.tokens, lease=LEASE
    )


async def letters(people: AccountsWorld) -> list[Letter]:
    async with people.begin() as work:
        return list(await work.letters.lock_due(people.clock.now() + timedelta(days=1), 100))


async def test_each_is_sent_once(people: AccountsWorld) -> None:
    for number in range(3):
        await people.sign_up_as(f"person{number}@example.com")
    assert not await people.workers.letters.once()
    assert not await people.workers.letters.once()
    assert len(people.links) == len(letters_in(people.mail)) == 3
    assert await letters(people) == []


async def test_many_are_sent_in_one_round(people: AccountsWorld) -> None:
    for number in range(23):
        await people.sign_up_as(f"person{number}@example.com")
    assert not await people.workers.letters.once()
    assert len(people.links) == 23


async def test_many_letters_to_one_person_delay_nobody_else(people: AccountsWorld) -> None:
    for _ in range(12):
        await people.sign_up_as("many@example.com")
        people.clock.pass_by(seconds=1)
    await people.sign_up_as("stranger@example.com")
    recipients = []

    async def note(letter: Letter) -> None:
        recipients.append(letter.recipient.text)

    await delivering(people, note)()
    assert recipients == ["many@example.com", "stranger@example.com"] + ["many@example.com"] * 11


async def test_of_one_person_one_letter_is_sent_at_a_time(people: AccountsWorld) -> None:
    for _ in range(3):
        await people.sign_up_as("many@example.com")
    others = []

    async def while_sending(_: Letter) -> None:
        others.append(await letters_due(people))

    await delivering(people, while_sending)()
    assert others == [0, 0, 0]


async def letters_due(people: AccountsWorld) -> int:
    async with people.begin() as work:
        return len(await work.letters.lock_due(people.clock.now(), 10))


async def test_a_letter_that_breaks_its_worker_keeps_nobody_waiting(people: AccountsWorld) -> None:
    await people.sign_up_as("broken@example.com")
    await people.sign_up_as("fine@example.com")
    sent = []

    async def break_down(letter: Letter) -> None:
        if letter.recipient.text == "broken@example.com":
            raise ZeroDivisionError
        sent.append(letter.recipient.text)

    with pytest.raises(ZeroDivisionError):
        await delivering(people, break_down)()
    assert sent == ["fine@example.com"]


async def test_the_claim_is_committed_before_anything_is_sent(people: AccountsWorld) -> None:
    await people.sign_up_as("new@example.com")
    other_pass = people.workers.letters.once

    async def while_sending(_: Letter) -> None:
        await other_pass()
        assert people.links == []

    await delivering(people, while_sending)()


async def test_a_worker_that_died_leaves_a_claim_that_runs_out(people: AccountsWorld) -> None:
    await people.sign_up_as("new@example.com")

    async def die(_: Letter) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await delivering(people, die)()
    people.clock.pass_by(minutes=4, seconds=59)
    await people.workers.letters.once()
    assert people.links == []
    people.clock.pass_by(seconds=1)
    await people.workers.letters.once()
    assert len(people.links) == 1


async def test_what_a_slow_server_leaves_no_time_for_is_left_to_the_next(people: AccountsWorld) -> None:
    """Another may have claimed it by then: it would be sent twice for nothing."""
    for number in range(3):
        await people.sign_up_as(f"person{number}@example.com")

    attempts = []

    async def take_long(letter: Letter) -> None:
        attempts.append(letter.attempts)
        people.clock.pass_by(minutes=3)

    carrier = Carrier(take_long)
    deliver = DeliverDueLettersHandler(
        begin=people.begin, clock=people.clock, mailer=carrier, tokens=people.tokens, lease=LEASE
    )
    await deliver()
    assert len(set(carrier.seen)) == len(carrier.seen) == 3
    assert attempts == [1, 1, 2], "the claim on the third had run out, and it was claimed anew"


async def test_a_refusal_for_now_is_tried_again_after_a_pause(people: AccountsWorld) -> None:
    await people.sign_up_as("new@example.com")

    async def refuse(_: Letter) -> None:
        raise NotDelivered("421 later")

    await delivering(people, refuse)()
    (letter,) = await letters(people)
    assert (letter.attempts, letter.reason, letter.outcome) == (1, "421 later", Outcome.PREPARED)
    await people.workers.letters.once()
    assert people.links == []
    people.clock.pass_by(seconds=15)
    await people.workers.letters.once()
    assert len(people.links) == 1


async def test_a_refusal_for_good_is_the_end(people: AccountsWorld) -> None:
    await people.sign_up_as("new@example.com")

    async def refuse(_: Letter) -> None:
        raise NotDelivered("550 nobody here", for_good=True)

    await delivering(people, refuse)()
    assert await letters(people) == []


async def test_one_refused_letter_does_not_hold_up_the_others(people: AccountsWorld) -> None:
    await people.sign_up_as("one@example.com")
    await people.sign_up_as("two@example.com")

    async def refuse_the_first(letter: Letter) -> None:
        if letter.recipient.text == "one@example.com":
            raise NotDelivered("550 nobody here", for_good=True)

    deliver = delivering(people, refuse_the_first)
    await deliver()
    assert await letters(people) == []


async def test_a_repeated_letter_has_the_same_link(people: AccountsWorld) -> None:
    """Signed again from what the letter keeps. Nothing that is stored could stand in for the token."""
    await people.sign_up_as("new@example.com")

    async def lose_the_answer(_: Letter) -> None:
        raise NotDelivered("nobody can tell")

    carrier = Carrier(lose_the_answer)
    deliver = DeliverDueLettersHandler(
        begin=people.begin, clock=people.clock, mailer=carrier, tokens=people.tokens, lease=LEASE
    )
    for _ in range(2):
        await deliver()
        people.clock.pass_by(minutes=10)
    first, second = carrier.seen
    assert first == second
    assert first is not None
    await people.confirm(first)


async def test_a_letter_is_given_up_when_its_link_has_expired(people: AccountsWorld) -> None:
    await people.sign_up_as("new@example.com")
    people.clock.pass_by(days=2)
    await people.workers.letters.once()
    assert people.links == []
    assert await letters(people) == []
