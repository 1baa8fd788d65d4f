"""The versions of what results depend on, which have to be the same on all machines that work on them."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Mapping
from functools import cache

import spurgekit

PACKAGES = (
    "deflate",
    "distributed",
    "numpy",
    "opencv-python-headless",
    "rasterio",
    "scikit-learn",
    "scipy",
    "timm",
    "torch",
    "diffusers",
)

REMEDY = "results would depend on where they come from: install the same versions"


@cache
def versions() -> Mapping[str, str | None]:
    """Return versions of spurgekit, of Python and of packages, None where one is missing.

    Builds of torch for a CPU and for a GPU, 2.9.0+cpu and 2.9.0+cu128, are of one version.
    """
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return {"spurgekit": spurgekit.__version__, "Python": python, **{name: version_of(name) for name in PACKAGES}}


def difference(theirs: Mapping[str, str | None], ours: Mapping[str, str | None]) -> str | None:
    """Return in words what a worker has otherwise than this machine, the first of it; None where nothing is.

    >>> difference({"spurgekit": "1.0", "torch": None}, {"spurgekit": "1.0", "torch": "2.9.0"})
    'has no torch, and this machine has 2.9.0'
    >>> difference({"spurgekit": "1.0"}, {"spurgekit": "1.1"})
    'has spurgekit 1.0, and this machine has 1.1'
    """
    for name, own in ours.items():
        if (other := theirs.get(name)) != own:
            return f"has {f'{name} {other}' if other else f'no {name}'}, and this machine has {own or 'none'}"
    return None


def version_of(name: str) -> str | None:
    """Return the version of a package, None where it is missing."""
    try:
        return importlib.metadata.version(name).partition("+")[0]
    except importlib.metadata.PackageNotFoundError:
        return None
