from datetime import timedelta

from attrs import frozen

from application.ports.clock import Clock
from application.ports.mailer import Mailer, NotDelivered
from application.ports.storage import Begin
from application.ports.tokens import ConfirmationToken, Tokens
from domain.notification import Letter, LetterNotFound


@frozen(kw_only=True)
class DeliverDueLettersHandler:
    """
    Sends the letters that are due, each once.

    They are claimed in a unit of work that ends before the first is sent, because sending takes long and must not hold
    locks. A worker that dies in between leaves a claim that runs out; then another sends the letter, perhaps again. A
    letter may come twice, but its token works once.
    """

    begin: Begin
    clock: Clock
    mailer: Mailer
    tokens: Tokens
    lease: timedelta = timedelta(minutes=1)
    """Longer than sending one letter can take. Letters that it is too short for are left to the next claim."""
    at_once: int = 5
    """How many letters one claim takes. Several workers share what is due."""

    async def __call__(self) -> bool:
        """
        Returns False when no letter is due any more.

        Raises:
            Exception: The first failure that the mailer did not foresee, after the letters claimed with it had their turn.
        """
        while await self._round():
            pass
        return False

    async def _round(self) -> bool:
        now = self.clock.now()
        async with self.begin() as work:
            due = await work.letters.lock_due(now, self.at_once)
            claimed = [letter for letter in due if letter.claim(at=now, lease=self.lease)]
            for letter in due:
                await work.letters.save(letter)
        failures = []
        for letter in claimed:
            if letter.is_held(self.clock.now()):
                try:
                    await self._deliver(letter)
                except Exception as error:  # noqa: BLE001  # one letter must not keep the others waiting
                    failures.append(error)
        if failures:
            raise failures[0]
        return bool(due)

    async def _deliver(self, claimed: Letter) -> None:
        failure = None
        try:
            await self.mailer.send(claimed, self._token(claimed))
        except NotDelivered as why:
            failure = why
        async with self.begin() as work:
            try:
                letter = await work.letters.lock(claimed.account_id, claimed.id)
            except LetterNotFound:  # removed with its account
                return
            if failure is None:
                letter.sent()
            else:
                letter.failed(
                    claimed.attempts, failure.reason, for_good=failure.for_good, at=self.clock.now()
                )
            await work.letters.save(letter)

    def _token(self, letter: Letter) -> str | None:
        if letter.link is None:
            return None
        return self.tokens.sign(
            ConfirmationToken(
                account_id=letter.account_id,
                email=letter.recipient.text,
                confirmation_id=letter.link.confirmation_id,
                issued_at=letter.link.issued_at,
                expires_at=letter.link.expires_at,
            )
        )
