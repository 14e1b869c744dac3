"""The limit of stopping, and the signals that begin it, in processes of their own."""

import signal
import subprocess
import sys
import time

import pytest

from config.stopping import Stopping
from tests.config.conftest import ROOT

PATIENCE = 120.0

TOO_LONG = """
import sys, time
from config.stopping import Stopping
stopping = Stopping(1.0)
stopping.last_acts += [lambda: 1 / 0, lambda: sys.stderr.write("the last act")]
stopping.watch()
stopping.must_end()
stopping.must_end()
{waiting}
"""

HANGS_AT_EXIT = """
import threading
threading.Thread(target=time.sleep, args=(1000,)).start()
"""
"""The interpreter waits for such a thread, as asyncio's pool has them, after everything else has ended."""

LET_GO_BY_AN_ACT = """
import threading
ended = threading.Event()
stopping.last_acts += [ended.set, lambda: time.sleep(1000)]
ended.wait()
sys.exit(0 if stopping.is_in_order else 1)
"""
"""An act that kills the database ends the waiting of the main thread, too."""

# They sleep again and again: a signal that comes right before the system call of a sleep is noticed only after it.
HEARS = """
import signal, sys, time
for number in map(int, sys.argv[1:]):
    signal.signal(number, signal.SIG_IGN)
from config.signals import Stopped, hear_signals
hear_signals()
try:
    sys.stdout.write("ready\\n")
    sys.stdout.flush()
    while True:
        time.sleep(0.05)
except Stopped as stopped:
    sys.exit(stopped.number)
"""

HEARS_IN_A_FINALISER = """
import sys, time
from config.signals import Stopped, hear_signals
class Dying:
    def __del__(self):
        sys.stdout.write("ready\\n")
        sys.stdout.flush()
        while True:
            time.sleep(0.05)
hear_signals()
try:
    Dying()
    time.sleep(1000)
except Stopped as stopped:
    sys.exit(stopped.number)
"""

HEARS_WHILE_A_LOOP_RUNS = """
import asyncio, sys, uvloop
from config.running import run_until_signal
from config.signals import Stopped, hear_signals
async def work():
    loop = asyncio.get_running_loop()
    def go_on():
        loop.call_soon(go_on)
    go_on()  # so that the signal comes in a callback
    sys.stdout.write("ready\\n")
    sys.stdout.flush()
    try:
        await asyncio.sleep(1000)
    finally:
        sys.stderr.write("tidied up")
hear_signals()
try:
    run_until_signal(work(), loop_factory=getattr(sys.modules[sys.argv[1]], "new_event_loop"))
except Stopped as stopped:
    sys.exit(stopped.number)
"""


def run(program: str, *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", program, *words],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    "waiting", ["time.sleep(1000)", HANGS_AT_EXIT, LET_GO_BY_AN_ACT], ids=["busy", "at exit", "let go"]
)
def test_a_process_that_does_not_stop_is_ended_after_its_last_acts(waiting: str) -> None:
    began = time.monotonic()
    with run(TOO_LONG.format(waiting=waiting)) as child:
        _, err = child.communicate(timeout=PATIENCE)
    assert child.returncode == 1
    assert time.monotonic() - began >= Stopping(1.0).seconds_in_order
    assert "the last act" in err


@pytest.mark.parametrize(
    ("given", "requests", "all_in_order"),
    [(0.0, 0.75, 0.9), (1.0, 0.75, 0.9), (2.0, 1.5, 1.8), (30.0, 29.0, 29.8)],
)
def test_each_part_leaves_time_for_the_rest(given: float, requests: float, all_in_order: float) -> None:
    """The last acts are counted too: an orchestrator kills what still runs after that time."""
    stopping = Stopping(given)
    assert stopping.seconds_for_requests == requests
    assert stopping.seconds_left == all_in_order
    stopping.must_end()
    assert stopping.seconds_left <= all_in_order


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("program", [HEARS, HEARS_IN_A_FINALISER], ids=["anywhere", "in a finaliser"])
def test_signals_are_heard(program: str, number: signal.Signals) -> None:
    """Python drops the exception that a handler raises while a finaliser runs."""
    with run(program) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.send_signal(number)
        _, err = child.communicate(timeout=PATIENCE)
        assert (child.returncode, err) == (number, "")


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_signal_ends_what_an_event_loop_does(loop: str) -> None:
    with run(HEARS_WHILE_A_LOOP_RUNS, loop) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGTERM)
        _, err = child.communicate(timeout=PATIENCE)
        assert (child.returncode, err) == (signal.SIGTERM, "tidied up")


WAS_SENT_ONE_BEFORE = """
import os, signal, time
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
os.kill(os.getpid(), signal.SIGTERM)
from config.signals import leave_at_signals
leave_at_signals(lambda number: 40 + number)
time.sleep(1000)
"""


def test_a_signal_that_waited_for_a_handler_is_heard() -> None:
    """The entry point of the image blocks signals until there is one."""
    with run(WAS_SENT_ONE_BEFORE) as child:
        assert child.wait(PATIENCE) == 40 + signal.SIGTERM


RETURNS_WITH_A_SIGNAL = """
import os, signal, sys
from config.running import run_until_signal
from config.signals import Stopped, hear_signals
async def work():
    os.kill(os.getpid(), signal.SIGTERM)
hear_signals()
try:
    run_until_signal(work())
except Stopped as stopped:
    sys.exit(stopped.number)
"""


def test_a_signal_counts_that_comes_while_the_work_returns() -> None:
    with run(RETURNS_WITH_A_SIGNAL) as child:
        assert child.wait(PATIENCE) == signal.SIGTERM


def test_nohup_is_respected_and_a_shells_background_is_not() -> None:
    """A shell's background jobs ignore SIGINT, which only says that Ctrl-C is for somebody else."""
    with run(HEARS, str(int(signal.SIGHUP)), str(int(signal.SIGINT))) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGHUP)
        child.send_signal(signal.SIGINT)
        assert child.wait(PATIENCE) == signal.SIGINT
