import ssl
from collections.abc import AsyncIterator
from email.headerregistry import Address
from pathlib import Path

import pytest

from infrastructure.smtp.writing import LetterWriter
from tests.certificates import make_certificate
from tests.infrastructure.smtp.sink import Certificate, Sink, serving


@pytest.fixture
def writer() -> LetterWriter:
    return LetterWriter(
        sender=Address("Мессенджер", "robot", "example.com"),
        confirm_url="https://chat.example/confirm-email",
        reset_url="https://chat.example/setup-new-password",
    )


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    async with serving(Sink()) as sink:
        yield sink


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    certificate_file, key_file = make_certificate(tmp_path, "localhost", "127.0.0.1")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate_file, key_file)
    return Certificate(server, ssl.create_default_context(cafile=str(certificate_file)))
