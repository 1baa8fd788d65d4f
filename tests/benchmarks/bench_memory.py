"""Peak memory of ``tile`` and ``map`` on a small and on a large site, each in a process of its own.

``python -m tests.benchmarks.bench_memory [--sizes 6000,24000]``
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.bench_map import make_model
from tests.benchmarks.sites import make_orthomosaic

PEAK = """
import sys
from pathlib import Path
from spurgekit.cli.main import main
sys.argv[0] = "spurgekit"
try:
    main()
finally:
    # Not resource.getrusage: its peak counts the process that this one was forked from.
    print(next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")).split()[1])
"""


def peak_mb(*arguments: str | Path) -> float:
    """Return the peak resident memory in MB of a command."""
    command = [sys.executable, "-c", PEAK, *map(str, arguments)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return int(printed.splitlines()[-1]) / 1024


def main() -> None:
    """Print the peaks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="6000,24000", help="pixels a side")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = make_model(folder / "model", 250)
        for size in (int(text) for text in options.sizes.split(",")):
            site = make_orthomosaic(folder / f"site{size}.tif", size)
            for what in (("tile", site), ("map", site, "--model", model, "--device", "cpu")):
                peak = peak_mb(*what, "--out", folder / f"{what[0]}{size}")
                print(f"{what[0]:5s} {size:6d} x {size} px  {peak:6.0f} MB", flush=True)
            site.unlink()


if __name__ == "__main__":
    main()
