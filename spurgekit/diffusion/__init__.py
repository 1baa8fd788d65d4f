"""Diffusion models: loading them, teaching them new words from a few tiles, editing tiles with them.

This room knows pictures and prompts. Which tiles are edited, how often and for which support set is decided in
:mod:`spurgekit.augment`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
