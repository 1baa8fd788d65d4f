"""Killed runs, two processes with one output, full disks: what has its final name is whole, and nothing else is lost.

Real commands in processes of their own, a few of them every day; ``make torture`` runs many more, and all commands.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from spurgekit.maps import MapOptions, map_site
from spurgekit.outputs.checksums import look_through, read_checksums
from tests.chain import BACKBONE
from tests.command import ROOT
from tests.diffusion.tiny import make_tiny
from tests.fuzz import TALLIES, TIMES, Tally
from tests.outputs.listing import RECORDS

SMALL = ("--backbone", BACKBONE, "--no-pretrained", "--image-size", "32", "--device", "cpu")
DIFFUSION = ("--backbone", "tiny", "--device", "cpu", "--shots", "2", "--trials", "2", "--size", "64")
COMMANDS = {
    "tile": ("tile", "dune.tif", "--size", "32", "--out", "out"),
    "evaluate": ("evaluate", "dataset", "--out", "out", "--arms", "probe,plain", "--shots", "1,2", "--trials", "8", *SMALL),
    "map": ("map", "dune.tif", "--model", "model", "--device", "cpu", "--stride", "16", "--out", "out"),
    "check": ("check", "map", "--image", "dune.tif", "--cells", "90", "--out", "out"),
    "augment": (
        "augment", "dataset", "--method", "real-guidance", "--images", "4", "--steps", "8", "--out", "out", *DIFFUSION,
    ),
    "simulate": ("simulate", "out", "--plot-rows", "1", "--plot-columns", "1", "--plot-size", "4"),
    "build-dataset": ("build-dataset", "tiles", "--labels", "weed.gpkg", "--classes", "sand,weed", "--out", "out"),
    "train": ("train", "dataset", "--out", "out", *SMALL),
    "preview": ("preview", "dataset", "--out", "out"),
    "invert": ("invert", "dataset", "--steps", "30", "--out", "out", *DIFFUSION),
}  # fmt: skip
EVERY_DAY = ("tile",)
GOES_ON = ("evaluate", "augment", "invert", "map")
"""Commands of which a run that was stopped is gone on with."""

CHOSEN = list(COMMANDS) if TIMES > 1 else EVERY_DAY
ATTEMPTS = 1 if TIMES == 1 else max(1, TIMES // 5)
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
PATIENCE_S = 300


@dataclass(frozen=True)
class Run:
    """A command that was run undisturbed, and where it may be run again."""

    name: str
    made_from: Path
    whole: dict[str, bytes]
    seconds: float

    def place(self, folder: Path) -> Path:
        """Return a folder with all that the command reads, made in another; always called the same, as surveys are by it."""
        folder = folder / "survey"
        folder.mkdir(exist_ok=True)
        for entry in self.made_from.iterdir():
            copy = shutil.copytree if entry.is_dir() else shutil.copy
            copy(entry, folder / entry.name)
        return folder

    def start(self, folder: Path, *more: str) -> subprocess.Popen[str]:
        """Start the command in a folder, with a place for temporary files of its own."""
        scratch = folder.parent / f"{folder.name}-tmp"
        scratch.mkdir(exist_ok=True)
        variables = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(scratch), "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            [sys.executable, "-m", "spurgekit", *COMMANDS[self.name], *more],
            cwd=folder, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def faults(self, folder: Path, *, out: bool | None = None, partial: bool = False) -> list[str]:
        """Return what is wrong in a folder.

        Parameters
        ----------
        folder : pathlib.Path
        out : bool, optional
            Whether the output must be there; default: it may.
        partial : bool
            Whether hidden files and folders of what was stopped may be there.
        """
        found = []
        there = {entry.name for entry in folder.iterdir()}
        ours = {entry.name for entry in self.made_from.iterdir()}
        if out is not None and ("out" in there) is not out:
            found.append(f"the output is {'not ' * out}there")
        if "out" in there:
            found += unwhole(folder / "out", self.whole)
        left = sorted(there - ours - {"out"})
        found += [f"{name} was left behind" for name in left if not (partial and name.startswith(".out."))]
        found += [f"{name} was lost" for name in sorted(ours - there)]
        scratch = folder.parent / f"{folder.name}-tmp"
        found += [f"{path.name} was left among the temporary files" for path in scratch.iterdir()]
        return found


def contents(folder: Path) -> dict[str, bytes]:
    """Return what is in a folder, but for the record of the command line and what follows from it."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in RECORDS)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def unwhole(out: Path, whole: dict[str, bytes]) -> list[str]:
    """Return what is wrong with an output."""
    made, sums = contents(out), read_checksums(out)
    if sums is None:
        return ["the output has no list of its files"]
    listing = look_through(out, sums)
    differing = sorted(name for name in made.keys() | whole.keys() if made.get(name) != whole.get(name))
    missing = sorted(listing.listed - listing.files.keys())
    return [
        f"{what}: {', '.join(names[:3])}"
        for what, names in (
            ("not as it ought to be", differing),
            ("not as listed", listing.changed),
            ("not listed", listing.foreign),
            ("listed and not there", missing),
        )
        if names
    ]


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, said = process.communicate(timeout=PATIENCE_S)
    return process.returncode, said


def told(code: int, said: str) -> list[str]:
    """Return what is wrong with how a run ended that did not make its output."""
    lines = [line for line in said.replace("\r", "\n").splitlines() if line.startswith("spurgekit: ")]
    if "Traceback" in said:
        return [f"a traceback: {said[-400:]}"]
    return [] if code in (1, 2, 130, 143) and len(lines) == 1 else [f"ended with {code} and said {said[-300:]!r}"]


def judge(attack: str, faults: list[str], *, refused: bool = False) -> None:
    """Count an attempt."""
    tally = TALLIES.setdefault(attack, Tally())
    tally.tried += 1
    tally.refused += refused
    tally.faults += faults
    assert not faults, "; ".join(faults)


def moments(attempts: int) -> list[float]:
    """Return times in parts of a run's, spread evenly over what comes after the libraries are loaded."""
    return [0.3 + 0.75 * ((0.5 + k * 0.6180339887) % 1) for k in range(attempts)]


@pytest.fixture(scope="module")
def made_from(chain, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("torture") / "made-from"
    shutil.copytree(chain.site.parent, folder)
    if TIMES > 1:
        map_site(chain.site, chain.model, folder / "map", MapOptions(stride_px=16))
        make_tiny(folder / "tiny")
    return folder


@pytest.fixture(scope="module", params=CHOSEN)
def run(request, made_from, tmp_path_factory) -> Run:
    draft = Run(request.param, made_from, {}, 0)
    folder = draft.place(tmp_path_factory.mktemp("undisturbed"))
    start = time.monotonic()
    code, said = end(draft.start(folder))
    assert code == 0, said
    return Run(draft.name, made_from, contents(folder / "out"), time.monotonic() - start)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_killed_run_leaves_nothing_half_written_and_runs_again(run, tmp_path_factory, overwrite):
    for k, moment in enumerate(moments(ATTEMPTS)):
        folder = run.place(tmp_path_factory.mktemp("killed"))
        if overwrite:
            end(run.start(folder))
        process = run.start(folder, *(["--overwrite"] if overwrite else []))
        time.sleep(moment * run.seconds)
        how = SIGNALS[k % len(SIGNALS)] if TIMES > 1 else signal.SIGKILL
        process.send_signal(how)
        code, said = end(process)
        partial = how == signal.SIGKILL or run.name in GOES_ON
        faults = run.faults(folder, out=True if overwrite or code == 0 else None, partial=partial)
        if code not in (0, -how):
            faults += told(code, said)
        if not overwrite and not (folder / "out").exists():
            code, said = end(run.start(folder))
            faults += [f"the next run: {code}, {said[-300:]}"] if code else []
        elif overwrite:
            code, said = end(run.start(folder, "--overwrite"))
            faults += [f"the next run: {code}, {said[-300:]}"] if code else []
        judge(f"kills of {run.name}{' --overwrite' * overwrite}", [*faults, *run.faults(folder, out=True)])


@pytest.mark.parametrize("overwrite", [False, True])
def test_of_two_processes_one_makes_it_whole(run, tmp_path_factory, overwrite):
    for moment in moments(ATTEMPTS):
        folder = run.place(tmp_path_factory.mktemp("pair"))
        options = ["--overwrite"] if overwrite else []
        if overwrite:
            end(run.start(folder))
        one = run.start(folder, *options)
        time.sleep((moment - 0.3) * run.seconds)
        other = run.start(folder, *options)
        ended = [end(one), end(other)]
        faults = run.faults(folder, out=True)
        codes = sorted(code for code, _ in ended)
        faults += [] if codes[0] == 0 else [f"none made it: {ended}"]
        for code, said in ended:
            faults += told(code, said) if code else []
        judge(f"pairs of {run.name}{' --overwrite' * overwrite}", faults, refused=codes[1] != 0)


@pytest.mark.skipif(TIMES == 1 or not sys.platform.startswith("linux") or os.geteuid() != 0, reason="disks are mounted")
def test_a_full_disk_is_said_and_leaves_nothing(run, tmp_path_factory):
    needed = sum(len(data) + 4096 for data in run.whole.values())
    for moment in moments(ATTEMPTS):
        folder = tmp_path_factory.mktemp("full")
        room = max(4096, int(needed * (moment - 0.3)))
        # The output goes where its parent is: all of the folder lies on a disk with that much room beside the inputs.
        disk = folder / "survey"
        disk.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "none", str(disk)], check=False, capture_output=True).returncode:
            pytest.skip("disks cannot be mounted here")
        try:
            run.place(folder)
            used = shutil.disk_usage(disk).used
            subprocess.run(["mount", "-o", f"remount,size={used + room}", str(disk)], check=True)
            code, said = end(run.start(disk))
            faults = run.faults(disk, partial=run.name in GOES_ON)
            faults += (told(code, said) or ([] if "disk is full" in said else [f"said {said[-300:]!r}"])) if code else []
            subprocess.run(["mount", "-o", "remount,size=1g", str(disk)], check=True)
            if code:
                again, said = end(run.start(disk))
                faults += [f"the next run: {again}, {said[-300:]}"] if again else []
            judge(f"full disks of {run.name}", [*faults, *run.faults(disk, out=True)], refused=code != 0)
        finally:
            subprocess.run(["umount", str(disk)], check=False)
