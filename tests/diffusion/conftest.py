"""Small diffusion models, made once: their folders, and one of them loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.diffusion.tiny import make_tiny


@pytest.fixture(scope="session")
def weights(data) -> Path:
    """Return the folder of real weights and vocabularies; the small models do without."""
    return data / "weights"


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    """Return a folder with a small Stable Diffusion; not to be changed."""
    return make_tiny(tmp_path_factory.mktemp("sd") / "tiny")


@pytest.fixture(scope="session")
def tiny_xl(tmp_path_factory) -> Path:
    """Return a folder with a small SDXL; not to be changed."""
    return make_tiny(tmp_path_factory.mktemp("sdxl") / "tiny-xl", kind="sdxl")


@pytest.fixture(scope="session")
def tiny_inpaint(tmp_path_factory) -> Path:
    """Return a folder with a small Stable Diffusion whose UNet takes a mask; not to be changed."""
    return make_tiny(tmp_path_factory.mktemp("inpaint") / "tiny-inpaint", inpaints=True)


@pytest.fixture(scope="session")
def backbone(tiny):
    """Return the small Stable Diffusion on the CPU in float32; not to be changed."""
    from spurgekit.diffusion.load import load_backbone

    return load_backbone(tiny, device="cpu", precision="float32")


@pytest.fixture(scope="session")
def backbone_xl(tiny_xl):
    """Return the small SDXL on the CPU in float32; not to be changed."""
    from spurgekit.diffusion.load import load_backbone

    return load_backbone(tiny_xl, device="cpu", precision="float32")
