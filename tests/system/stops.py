"""
Stops a messenger at every moment of its first start, on a new embedded database.

    python -m tests.system.stops [--every 0.05] [--until 4] [--signal TERM]

Prints for each moment how long the messenger took to end, its exit code and the last line of its log, and at the end the slowest
ones. Fails if one took longer than `API_SHUTDOWN_SECONDS`, left a process behind, or ended by the signal itself after it had been
able to hear it. A busy machine makes all figures larger.
"""

import argparse
import signal
import sys
import time
from pathlib import Path
from typing import Final

from attrs import frozen

from config.settings.groups import Api
from tests.scratch import scratch_folder
from tests.system.server import PATIENCE, Server

DEAF_SECONDS: Final = 0.5
"""The interpreter itself needs some time before it can install a handler. Until then a signal ends it by default."""

SHOWN: Final = 5


@frozen(order=True)
class Stop:
    seconds: float
    moment: float
    code: int
    left: int
    last: str

    @property
    def is_wrong(self) -> bool:
        deaf = self.moment <= DEAF_SECONDS and self.code < 0
        return self.seconds > Api().shutdown_seconds or self.left > 0 or not (self.code == 0 or deaf)

    def __str__(self) -> str:
        wrong = "  WRONG" if self.is_wrong else ""
        return (
            f"{self.moment:5.2f} s  ends in {self.seconds:6.3f} s  with {self.code}  {self.last[:80]}{wrong}"
        )


def stop_at(moment: float, number: signal.Signals, folder: Path) -> Stop:
    server = Server(folder, is_a_program=True)
    process = server.launch()
    try:
        time.sleep(moment)
        began = time.monotonic()
        process.send_signal(number)
        code = process.wait(PATIENCE)
        seconds = time.monotonic() - began
        left = len(server.leftovers())
    finally:
        server.stop()
    (*_, last) = ["", *server.log().splitlines()]
    return Stop(seconds, moment, code, left, last)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0] if __doc__ else None)
    parser.add_argument("--every", type=float, default=0.05)
    parser.add_argument("--until", type=float, default=4.0)
    parser.add_argument("--signal", default="TERM")
    options = parser.parse_args()
    number = signal.Signals[f"SIG{options.signal}"]
    stops = []
    for step in range(int(options.until / options.every) + 1):
        with scratch_folder("messenger-stops-") as folder:
            stops.append(stop_at(step * options.every, number, folder))
        print(stops[-1], flush=True)
    print("\nthe slowest:", *sorted(stops, reverse=True)[:SHOWN], sep="\n")
    sys.exit(any(each.is_wrong for each in stops))


if __name__ == "__main__":
    main()
