"""The four kinds of runs that chance decides, each as a function of a number, and how a kept one is tried again."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from tests.exploring.kept import CHAOS, DEVICES, ROOT, SIMULATION, Kept
from tests.exploring.plugin import TIME_IS_UP
from tests.scratch import scratch_folder
from tests.simulation.world import simulate
from tests.system import devices
from tests.system.resume import OUTAGES, Outage, run_in

CHAOS_SENDS: Final = 10_000

BREAKS: Final = 300
"""Connections of devices that break in one run."""


def explore_properties(
    seed: int, keep: Path, until: float, root: Path = ROOT, path: str = "tests"
) -> list[Path]:
    """
    Runs every property and state machine below ``path`` with this seed until one fails or it is ``until``, in Unix time.
    Returns the files of what it found.

    Raises `RuntimeError` if the tests could not be run at all.
    """
    before = set(keep.glob("*.json"))
    ran = run_pytest(
        path,
        "--exitfirst",
        "--hypothesis-profile=explore",
        f"--hypothesis-seed={seed}",
        f"--keep={keep}",
        f"--until={until}",
        hash_seed=seed,
        root=root,
    )
    if ran.returncode not in {0, 1, TIME_IS_UP}:
        raise RuntimeError(ran.stdout)
    found = sorted(set(keep.glob("*.json")) - before)
    if ran.returncode == 1 and not found:
        raise RuntimeError(ran.stdout)
    return found


def explore_simulation(number: int) -> Kept | None:
    """One run of the simulated world."""
    return Kept.of_run(SIMULATION, number, simulate(number).violations())


def explore_chaos(
    number: int,
    sends: int = CHAOS_SENDS,
    outages: Sequence[Outage] = OUTAGES,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Kept | None:
    """One conversation with a real messenger whose processes are killed. How the machine shares its time is not in the number."""
    with scratch_folder("messenger-chaos-") as folder:
        outcome = run_in(folder, number, sends=sends, outages=outages, settings=settings)
    return Kept.of_run(CHAOS, number, outcome.faults)


def explore_devices(
    number: int,
    client: str,
    breaks: int = BREAKS,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Kept | None:
    """One conversation of devices with one of the clients, which lose their connections again and again."""
    with scratch_folder("messenger-devices-") as folder:
        outcome = devices.run_in(folder, number, breaks=breaks, client=client, settings=settings)
    return Kept.of_run(DEVICES[client], number, outcome.faults)


def replay(kept: Kept, root: Path = ROOT) -> str | None:
    """Tries a finding again. Returns what is wrong, or None if the fault no longer shows."""
    match kept.test:
        case "simulation":
            again = explore_simulation(kept.seed)
        case "chaos":
            again = explore_chaos(kept.seed)
        case kind if kind in DEVICES.values():
            again = explore_devices(kept.seed, next(each for each, name in DEVICES.items() if name == kind))
        case test:
            return _replay_property(test, kept, root)
    return None if again is None else "\n".join(again.told)


def _replay_property(test: str, kept: Kept, root: Path) -> str | None:
    """In a process of its own, because a profile is for a whole run of pytest."""
    with tempfile.TemporaryDirectory() as folder:
        if kept.choices:
            options = [f"--replay={kept.write(Path(folder))}"]
        else:
            options = ["--hypothesis-profile=explore", f"--hypothesis-seed={kept.seed}"]
        ran = run_pytest(test, *options, hash_seed=kept.seed, root=root)
    return None if ran.returncode == 0 else ran.stdout


def run_pytest(*arguments: str, hash_seed: int, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Runs tests below ``root`` with the project's options. Standard output and errors come together as its output."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *("-c", str(ROOT / "pyproject.toml"), "--rootdir", str(root)),
            *arguments,
        ],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": str(hash_seed % 2**32)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
