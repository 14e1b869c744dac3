"""
Reads the entries of chats' logs that returning clients have missed: from memory if this node has them, or from storage,
once for all clients that ask at that moment.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from attrs import define, field, frozen

from application.errors import ApplicationError, Unavailable
from application.ports.updates import ChatUpdate
from application.ports.views import LogSpan
from domain.ids import ChatId, Position
from interfaces.live.tails import LogEntry, Tails

ReadLogs = Callable[[Sequence[LogSpan]], Awaitable[Sequence[ChatUpdate]]]

EntriesByChat = Mapping[ChatId, Sequence[LogEntry]]


@frozen
class Reading:
    """A read that is going on. When it began, the log went up to ``last`` at least: it finds everything up to there."""

    after: Position
    last: Position
    entries: "asyncio.Future[EntriesByChat]"

    def has_next(self, span: LogSpan) -> bool:
        """Whether it finds the first entry of a span. A read for an earlier moment may not find a later entry."""
        return self.after <= span.after < self.last


@define(eq=False)
class Replays:
    _logs: ReadLogs
    tails: Tails
    _readings: dict[tuple[str | None, ChatId], Reading] = field(init=False, factory=dict)
    """The latest read of each chat, by line of history."""

    async def read(self, epoch: str | None, spans: Sequence[LogSpan]) -> Sequence[LogEntry]:
        """
        Returns entries of each span from its beginning, span by span, but perhaps not all: the rest is read by another call.
        None are returned if the logs have none, as after a chat was purged.

        The caller must know from storage that the logs go as far as the spans, and in which line of history. If ``epoch`` is
        None nothing is taken from memory.

        Raises:
            Unavailable: Storage did not answer.
        """
        kept = [
            entry for span in spans for entry in self.tails.read(epoch, span.chat_id, span.after, span.last)
        ]
        if kept:
            return kept
        readings = [self._readings.get((epoch, span.chat_id)) for span in spans]
        going_on = [
            (span, reading)
            for span, reading in zip(spans, readings, strict=True)
            if reading is not None and reading.has_next(span)
        ]
        if len(going_on) < len(spans):
            shared = {span.chat_id for span, _ in going_on}
            return await self._read(epoch, [span for span in spans if span.chat_id not in shared])
        found: list[LogEntry] = []
        for span, reading in going_on:
            entries = await asyncio.shield(reading.entries)
            found += [
                each for each in entries.get(span.chat_id, ()) if span.after < each.position <= span.last
            ]
        return found

    async def _read(self, epoch: str | None, spans: Sequence[LogSpan]) -> Sequence[LogEntry]:
        """Reads from storage, so that others can wait for the result."""
        entries: asyncio.Future[EntriesByChat] = asyncio.get_running_loop().create_future()
        begun = {(epoch, span.chat_id): Reading(span.after, span.last, entries) for span in spans}
        self._readings.update(begun)
        try:
            by_chat: dict[ChatId, list[LogEntry]] = {}
            for update in await self._logs(spans):
                by_chat.setdefault(update.chat_id, []).append(LogEntry.of(update))
        except BaseException as error:
            entries.set_exception(error if isinstance(error, ApplicationError) else Unavailable("not read"))
            entries.exception()  # marks it as seen: perhaps no other client waits for it
            raise
        finally:
            for key, reading in begun.items():
                if self._readings.get(key) is reading:
                    del self._readings[key]
        entries.set_result(by_chat)
        for chat_id, found in by_chat.items():
            self.tails.found(epoch, chat_id, found)
        return [entry for found in by_chat.values() for entry in found]
