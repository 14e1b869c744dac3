from collections.abc import Sequence

from attrs import Factory, define

from interfaces.wire.frames import Frame
from interfaces.ws.closing import Close


@define(eq=False)
class Written:
    """Records the frames that an outbox writes, and its closes."""

    frames: list[Frame] = Factory(list)
    closes: list[Close] = Factory(list)

    def write(self, frame: Frame) -> None:
        self.frames.append(frame)

    def write_shared(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            self.write(frame)

    def finish(self, close: Close) -> None:
        self.closes.append(close)
