"""The small diffusion models of :mod:`tests.diffusion`."""

from tests.diffusion.conftest import tiny

__all__ = ["tiny"]
