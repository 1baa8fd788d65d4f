"""Tiles: squares of an image, cut, encoded and indexed with the ground that they cover."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
