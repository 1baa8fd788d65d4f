"""What a machine has: its card and driver, and the packages that spurgekit needs.

``python -m tests.benchmarks.gpu_machine [--out FILE.json]``
"""

from __future__ import annotations

import argparse
import importlib
import platform
import shutil
import subprocess
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tests.benchmarks.figures import write_json

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
SAID = ("torch", "torchvision", "diffusers", "transformers", "timm", "numpy", "rasterio")
"""Packages whose versions go with the figures."""


def machine() -> dict[str, Any]:
    """Return what it has."""
    torch: Any = importlib.import_module("torch")
    has_gpu = torch.cuda.is_available()
    about = torch.cuda.get_device_properties(0) if has_gpu else None
    return {
        "card": about and about.name,
        "card_gib": about and round(about.total_memory / 2**30, 1),
        "driver": driver() if has_gpu else None,
        "cuda": torch.version.cuda,
        "python": platform.python_version(),
        "versions": {name: installed(name) for name in SAID},
        "lacking": lacking(tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["dependencies"]),
    }


def installed(name: str) -> str | None:
    """Return the version of a package, None where it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def lacking(requirements: list[str]) -> list[str]:
    """Return which requirements are not met, each with what there is.

    >>> lacking(["packaging>=1", "packaging>=9999", "no-such-package>=1"])  # doctest: +ELLIPSIS
    ['packaging>=9999 (there is ...)', 'no-such-package>=1 (there is none)']
    """
    from packaging.requirements import Requirement

    found = [(Requirement(text), text) for text in requirements]
    unmet = [(one, text) for one, text in found if not (has := installed(one.name)) or not one.specifier.contains(has)]
    return [f"{text} (there is {installed(one.name) or 'none'})" for one, text in unmet]


def driver() -> str | None:
    """Return the version of the GPU's driver."""
    if not (program := shutil.which("nvidia-smi")):
        return None
    command = [program, "--query-gpu=driver_version", "--format=csv,noheader"]
    found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20).stdout.split()
    return found[0] if found else None


def main() -> None:
    """Print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="JSON file to write")
    chosen = parser.parse_args()
    found = machine()
    if chosen.out:
        write_json(found, chosen.out)
    versions = ", ".join(f"{name} {number or 'is missing'}" for name, number in found["versions"].items())
    print(f"{found['card'] or 'no GPU that torch can use'}, driver {found['driver']}, python {found['python']}, {versions}")
    for requirement in found["lacking"]:
        print(f"note: {requirement} is needed")


if __name__ == "__main__":
    main()
