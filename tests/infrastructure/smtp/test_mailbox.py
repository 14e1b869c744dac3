import email
import email.policy
import stat
from pathlib import Path

import pytest

from application.ports.mailer import NotDelivered
from infrastructure.smtp.mailbox import Mailbox
from infrastructure.smtp.writing import LetterWriter
from tests.infrastructure.smtp.sink import letter_to


async def test_a_letter_is_a_file_and_its_link_is_shown(tmp_path: Path, writer: LetterWriter) -> None:
    shown: list[str] = []
    mailbox = Mailbox(folder=tmp_path / "mail", writer=writer, show=shown.append)
    letter = letter_to("new@example.com")
    await mailbox.send(letter, "ey.token.sign")
    await mailbox.send(letter, "ey.token.sign")
    (file,) = (tmp_path / "mail").iterdir()
    assert file.name == f"20261123-033209-{letter.id}.eml"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    message = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
    assert message["To"] == "new@example.com"
    assert shown == ["new@example.com: https://chat.example/confirm-email?token=ey.token.sign"] * 2


async def test_a_folder_that_cannot_be_written_is_a_failure_for_now(
    tmp_path: Path, writer: LetterWriter
) -> None:
    shown: list[str] = []
    (tmp_path / "mail").write_text("a file where the folder should be")
    mailbox = Mailbox(folder=tmp_path / "mail", writer=writer, show=shown.append)
    with pytest.raises(NotDelivered) as failed:
        await mailbox.send(letter_to("new@example.com"), "ey.token.sign")
    assert not failed.value.for_good
    assert "token" not in failed.value.reason
    assert shown == []
