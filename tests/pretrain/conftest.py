"""A drawn site, a UNet that is trained in seconds, and a network that judges, of random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import timm
from safetensors.torch import save_file

from spurgekit.seeds import seeded
from tests.diffusion.conftest import backbone, tiny
from tests.diffusion.pretraining.conftest import least

__all__ = ["backbone", "judge", "least", "site", "tiny"]

JUDGE = "test_resnet"


@pytest.fixture(scope="session")
def judge(tmp_path_factory) -> Path:
    """Return the file of the weights of a small network, which are random."""
    with seeded(0):
        network = timm.create_model(JUDGE, num_classes=0)
    file = tmp_path_factory.mktemp("judge") / "model.safetensors"
    save_file(network.state_dict(), file)
    return file


@pytest.fixture(scope="session")
def site(tmp_path_factory, make_tif) -> Path:
    """Return an orthomosaic of 160 x 160 px: squares of sand and of weed."""
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 2, (5, 5)).repeat(32, 0).repeat(32, 1)
    colours = np.array([(210, 180, 120), (50, 110, 40)])[kinds]
    pixels = (colours + rng.normal(0, 12, (160, 160, 3))).clip(0, 255).astype(np.uint8)
    return make_tif(tmp_path_factory.mktemp("site") / "dune.tif", pixels.transpose(2, 0, 1))
