"""Backbones of a survey's own: where their ground is from, how they are trained, and how good they are by themselves."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
