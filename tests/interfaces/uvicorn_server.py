"""uvicorn beside a test, in the test's own process."""

from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from typing_extensions import override


class UvicornServer(uvicorn.Server):
    """Leaves the signals to the test runner."""

    @override
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
