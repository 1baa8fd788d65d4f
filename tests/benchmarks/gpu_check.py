"""What a GPU is needed to see, within eight minutes: ``make gpu-check``.

    python -m tests.benchmarks.gpu_check [--out gpu-check] [--minutes 8] [--parts edits map] [--pretrain "..."] [--dry-run]

Parts are ordered by worth, each a process of its own that is killed when its time is over: the tests that need a GPU; edits of
tiles and textual inversion at Stable Diffusion 1.5's size against plain diffusers and the UNet alone (weights are drawn on the
spot, nothing is downloaded); maps against the network alone; ``pretrain-backbone`` with the arguments given, for as long as is
left. After each part ``gpu-check.json`` in the folder ``--out`` says what was measured, on which card, by which versions, and
which goals were reached; ``gpu-check.log`` has what was printed. The exit status is 1 if a part failed or was cut off, or a
goal was missed.

Without a GPU, or with ``--dry-run``, all parts run at tiny sizes on the CPU. That shows that they run; its ratios mean nothing,
and no goals are held against them.

On a machine with PyTorch and no network
----------------------------------------
``make gpu-packages`` collects, for the Python and the system of ``GPU_PYTHON`` and ``GPU_PLATFORMS`` in the Makefile, what such
a machine lacks besides PyTorch, torchvision, transformers, pandas, pyarrow, SciPy, scikit-learn, OpenCV, matplotlib, rich and
pytest with hypothesis: one archive of 60 MB. There, in the repository's root::

    python3 -m tests.benchmarks.gpu_check --packages build/gpu-packages.tar.xz --commit COMMIT

It is unpacked to a temporary folder, or beforehand to one that is passed in its place. What it holds goes before what is
installed; what is lacking all the same is said by the first part.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import shlex
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from xml.etree import ElementTree as ET

from tests.benchmarks.bounded import LOG, RECORD, ROOT, Goal, Part, read_json, run_part
from tests.benchmarks.figures import write_json

MAPPED = ("resnet50", "vit_small_patch16_224")
STARTING_S = 35.0
"""Of a part: imports, and drawing a model; the rest is for measurements."""
ENCODING_S = 100.0
"""Of the part that trains: ahead of its first step, and for the last look; the rest is for steps."""

PRETRAIN = "pretrain-backbone"
KEPT = ("README.md", "sheet.png", "nearest.png", "losses.parquet")
"""Of what it makes; its weights are not."""


MACHINE = Part("machine", 60, lambda file, _: ("-m", "tests.benchmarks.gpu_machine", "--out", file))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts; return the exit status."""
    chosen = _parser().parse_args(arguments)
    begin = time.monotonic()
    chosen.out.mkdir(parents=True, exist_ok=True)
    (chosen.out / LOG).unlink(missing_ok=True)
    record: dict[str, Any] = {
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "commit": chosen.commit or commit(),
        "minutes": chosen.minutes,
        "parts": [],
    }

    def left_s() -> float:
        return float(60 * chosen.minutes - (time.monotonic() - begin))

    with ExitStack() as stack:
        environment = dict(os.environ)
        if chosen.packages:
            folder = stack.enter_context(unpacked(chosen.packages))
            environment["PYTHONPATH"] = os.pathsep.join([str(folder), *filter(None, [environment.get("PYTHONPATH")])])
        found = run_part(MACHINE, record, chosen.out, left_s=left_s(), environment=environment)
        if found is None:
            print("this machine cannot run the others")
            return 1
        dry = chosen.dry_run or found["card"] is None
        record.update(found, dry_run=dry)
        if dry:
            environment.update(OMP_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="")
            why = "" if chosen.dry_run else "no GPU that torch can use: "
            print(f"\n{why}a dry run on the CPU at tiny sizes, whose ratios mean nothing", flush=True)
        for part in parts(dry, chosen.pretrain):
            if not chosen.parts or part.name in chosen.parts:
                run_part(part, record, chosen.out, left_s=left_s(), environment=environment, judged=not dry)
    is_well = summarise(record, chosen.out)
    return 0 if is_well else 1


def parts(dry: bool, pretrain: str | None) -> list[Part]:
    """Return the parts, by worth.

    Parameters
    ----------
    dry : bool
        At tiny sizes, on the CPU.
    pretrain : str or None
        Arguments of ``pretrain-backbone``.
    """
    diffusion = ("-m", "tests.benchmarks.bench_diffusion", "--no-compile")
    mapping = ("-m", "tests.benchmarks.bench_map", "--backbones", *MAPPED, "--rounds", 1)
    edits: tuple[object, ...] = ("--batches", 4, 16, 32)  # the first tells whether there is time for the others
    words: tuple[object, ...] = ("--samples", 16, "--examples", 1)
    maps: tuple[object, ...] = (
        "--device", "cuda", "--batch", 256, "--size", 16_000, "--tile", 250, "--stride", 100, "--seconds", 3
    )  # fmt: skip
    if dry:
        edits = ("--tiny", "--batches", 2, "--steps", 4, "--strengths", 1, 0.5)
        words = ("--tiny", "--samples", 2, "--examples", 1)
        maps = ("--device", "cpu", "--size", 200, "--seconds", 0.5)

    slow = 2 if dry else 1

    def minutes(seconds: float) -> tuple[object, ...]:
        return ("--minutes", 0.2 if dry else round(max(seconds - STARTING_S, 10) / 60, 2))

    tests = sorted(path for path in (ROOT / "tests").rglob("test_*.py") if "mark.gpu" in path.read_text(encoding="utf-8"))
    return [
        Part(
            "tests",
            slow * 60,
            lambda file, _: ("-m", "pytest", "-m", "gpu", "-p", "no:cacheprovider", "--junitxml", file, *tests),
            goals=lambda figures: [Goal("share of the tests marked gpu that pass", 1, figures and figures["share_passed"])],
            read=read_junit,
        ),
        Part(
            "edits",
            slow * 120,
            lambda file, s: (*diffusion, "--parts", "generation", *edits, *minutes(s), "--out", file),
            goals=edit_goals,
        ),
        Part(
            "inversion",
            slow * 85,
            lambda file, s: (*diffusion, "--parts", "inversion", *words, *minutes(s), "--out", file),
            goals=inversion_goals,
        ),
        Part("map", slow * 90, lambda file, _: (*mapping, *maps, "--out", file), goals=map_goals),
        pretraining(pretrain),
    ]


def pretraining(arguments: str | None) -> Part:
    """Return the part that trains a backbone with what is left of the time."""
    skip = None
    if not (ROOT / "spurgekit" / "cli" / "pretrain_backbone.py").is_file():
        skip = f"spurgekit has no command {PRETRAIN}"
    elif arguments is None:
        skip = f"pass the arguments of {PRETRAIN} as --pretrain"
    given = shlex.split(arguments or "")
    return Part(
        PRETRAIN,
        300,
        lambda file, s: (
            "-m",
            "spurgekit",
            PRETRAIN,
            *given,
            "--minutes",
            round(max(s - ENCODING_S, 10) / 60, 2),
            "--out",
            file.with_name("backbone"),
        ),
        read=lambda file: read_json(file.with_name("backbone") / "backbone.json"),
        keeps=tuple(f"backbone/{name}" for name in KEPT),
        skip=skip,
    )


def edit_goals(figures: Any) -> list[Goal]:
    """Return the goals of edits, of the fastest batch."""
    rows = [row for row in _rows(figures, "generation") if "share_of_unet" in row]
    best = max(rows, key=lambda row: row["images_s"], default={})
    times = best.get("times_mean_reference", best.get("times_reference"))
    return [
        Goal("edits, times plain diffusers with one image a call", 4, times),
        Goal("edits, share of the UNet's own rate", 0.8, best.get("share_of_unet")),
    ]


def inversion_goals(figures: Any) -> list[Goal]:
    """Return the goals of textual inversion."""
    rows = [row for row in _rows(figures, "inversion") if row.get("way") == "spurgekit"]
    best = max(rows, key=lambda row: row["samples_s"], default={})
    return [
        Goal("inversion, times diffusers' example as its README calls it", 4, next(iter(best.get("times", {}).values()), None)),
        Goal("inversion, share of the UNet's own rate", 0.8, best.get("share_of_unet")),
    ]


def map_goals(figures: Any) -> list[Goal]:
    """Return the goals of maps."""
    shares = {row["backbone"]: row["share_of_model"] for row in _rows(figures, "map")}
    return [Goal(f"map, share of the rate of {name} alone", 0.85, shares.get(name)) for name in MAPPED]


def read_junit(path: Path) -> dict[str, float]:
    """Return how many tests there were, and the share that passed, from pytest's report."""
    suite = next(ET.parse(path).iter("testsuite")).attrib
    total, lost = int(suite["tests"]), sum(int(suite[name]) for name in ("failures", "errors", "skipped"))
    skipped, failed = int(suite["skipped"]), int(suite["failures"]) + int(suite["errors"])
    return {"tests": total, "failed": failed, "skipped": skipped, "share_passed": (total - lost) / max(1, total)}


def summarise(record: dict[str, Any], out: Path) -> bool:
    """Print what came of it, goals last; return whether nothing failed, and no goal was missed."""
    done = f"{record['card'] or 'CPU'}, {record['date']}, commit {record['commit']}: {out / RECORD}"
    print(f"\n{done}")
    for row in record["parts"]:
        print(f"{row['status']:10}{row['name']}: {row.get('reason') or str(row['seconds']) + ' s'}")
    goals = [goal for row in record["parts"] for goal in row.get("goals", ())]
    for goal in goals:
        print(Goal(goal["what"], goal["least"], goal["found"]))
    write_json(record, out / RECORD)
    return all(row["status"] in ("done", "skipped") for row in record["parts"]) and all(goal["reached"] for goal in goals)


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Yield a folder of packages: that given, or what an archive holds."""
    if path.is_dir():
        yield path.resolve()
        return
    with TemporaryDirectory(prefix="gpu-packages-", ignore_cleanup_errors=True) as folder:
        with tarfile.open(path) as archive:
            archive.extractall(folder, filter="data")
        yield Path(folder)


def commit() -> str | None:
    """Return the commit that is checked out, None where git does not know it."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _rows(figures: Any, part: str) -> list[dict[str, Any]]:
    return list((figures or {}).get(part, ()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("gpu-check"), help="folder of the record and the log")
    parser.add_argument("--minutes", type=float, default=8.0, help="for all parts together")
    parser.add_argument("--parts", nargs="+", choices=["tests", "edits", "inversion", "map", PRETRAIN], help="by default all")
    parser.add_argument("--dry-run", action="store_true", help="at tiny sizes on the CPU, also where there is a GPU")
    parser.add_argument("--pretrain", help=f"arguments of {PRETRAIN}, in one")
    parser.add_argument("--packages", type=Path, help="archive of 'make gpu-packages', or a folder with what it holds")
    parser.add_argument("--commit", help="of the code, where git does not know it")
    return parser


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # a part is not left running where this is ended
    sys.exit(main())
