import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from attrs import frozen

from application.ports.mailer import NotDelivered
from domain.notification import Letter
from infrastructure.smtp.writing import LetterWriter

logger = logging.getLogger(__name__)


@frozen(kw_only=True)
class Mailbox:
    """
    The mailer when there is no mail server: a folder of ``.eml`` files, which any mail program opens. Links are also
    shown on the terminal.
    """

    folder: Path
    writer: LetterWriter
    show: Callable[[str], None]

    async def send(self, letter: Letter, token: str | None) -> None:
        message = await asyncio.to_thread(self.writer.write, letter, token)
        name = f"{letter.created_at:%Y%m%d-%H%M%S}-{letter.id}.eml"
        try:
            await asyncio.to_thread(self._write, name, message.as_bytes())
        except OSError as error:
            raise NotDelivered(f"{self.folder}: {error.strerror}") from None
        logger.info("letter %s (%s) is in the mailbox folder", letter.id, letter.template)
        if token is not None:
            self.show(f"{letter.recipient.text}: {self.writer.link(letter.template, token)}")

    def _write(self, name: str, data: bytes) -> None:
        # Only the owner may read the file, because its link signs somebody in. Renaming makes it appear as a whole.
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = self.folder / f".{name}.part"
        unfinished.unlink(missing_ok=True)
        unfinished.touch(mode=0o600)
        unfinished.write_bytes(data)
        unfinished.replace(self.folder / name)
