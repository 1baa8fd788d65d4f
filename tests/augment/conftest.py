"""The small diffusion models of :mod:`tests.diffusion`."""

from tests.diffusion.conftest import tiny, weights

__all__ = ["tiny", "weights"]
