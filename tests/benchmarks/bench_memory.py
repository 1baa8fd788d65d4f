"""Peak memory of ``tile`` and ``map`` on a small and on a large site, each in a process of its own.

``python -m tests.benchmarks.bench_memory [--sizes 6000,24000] [--what map] [--sparse]``

With ``--sparse`` the sites have ground in their upper rows only, so that the widest ones take minutes.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.bench_map import make_model
from tests.benchmarks.sites import make_orthomosaic, make_sparse

PEAK = """
import os, sys, threading, time
from pathlib import Path
page, peak = os.sysconf("SC_PAGE_SIZE"), [0, 0]
def watch():
    while True:
        resident, shared = map(int, Path("/proc/self/statm").read_text().split()[1:3])
        peak[:] = max(peak[0], resident * page), max(peak[1], (resident - shared) * page)
        time.sleep(0.02)
threading.Thread(target=watch, daemon=True).start()
from spurgekit.cli.main import main
sys.argv[0] = "spurgekit"
try:
    main()
finally:
    print(*peak)
"""
"""Prints the peaks of a command: all its resident memory, and what of it is not pages of library files."""


def peaks_mb(*arguments: str | Path) -> tuple[float, float]:
    """Return the peak resident and the peak private memory of a command, in MB."""
    command = [sys.executable, "-c", PEAK, *map(str, arguments)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    resident, private = printed.splitlines()[-1].split()
    return int(resident) / 1e6, int(private) / 1e6


def main() -> None:
    """Print the peaks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="6000,24000", help="pixels a side")
    parser.add_argument("--what", default="tile,map", help="commands")
    parser.add_argument("--sparse", action="store_true", help="sites of little ground")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = make_model(folder / "model", "mobilenetv2_035", 250)
        for size in (int(text) for text in options.sizes.split(",")):
            site = (make_sparse if options.sparse else make_orthomosaic)(folder / f"site{size}.tif", size)
            commands = {"tile": ("tile", site), "map": ("map", site, "--model", model, "--device", "cpu")}
            for what in (commands[name] for name in options.what.split(",")):
                resident, private = peaks_mb(*what, "--out", folder / f"{what[0]}{size}")
                print(f"{what[0]:5s} {size:6d} x {size} px  {resident:6.0f} MB resident, {private:6.0f} MB private", flush=True)
            site.unlink()


if __name__ == "__main__":
    main()
