"""Packages that only some commands need, and what to say where they are missing."""

from __future__ import annotations

import importlib.util
import re

from spurgekit.errors import InputError

EXTRAS = {
    "review": ("fastapi>=0.111", "uvicorn>=0.30"),
    "export": ("onnx>=1.16", "onnxruntime>=1.19", "onnxscript>=0.7"),
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
    missing = [package for package in EXTRAS[extra] if importlib.util.find_spec(re.split("[^\\w-]", package)[0]) is None]
    if missing:
        named = " ".join(f'"{package}"' for package in missing)
        raise InputError(f"{what} needs packages that are not installed; pip install {named}")
