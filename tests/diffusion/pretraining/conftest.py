"""A UNet so small that tests train it, and drawn ground."""

from __future__ import annotations

import pytest

from spurgekit.diffusion.pretraining.unet_sizes import UNET_SIZES, UnetSize
from tests.diffusion.conftest import backbone, tiny, weights

__all__ = ["backbone", "least", "tiny", "weights"]


def register_least() -> UnetSize:
    """Make a UNet of 0.3 M parameters known by its name."""
    return UNET_SIZES.register(UnetSize("least", "for tests", (32, 32), text_width=32, text_layers=1))


@pytest.fixture(scope="module")
def least():
    """Name of a UNet of 0.3 M parameters."""
    size = register_least()
    yield size.name
    UNET_SIZES.unregister(size.name)
