"""Textual inversion: words that stand for what a few pictures have in common (Gal et al. 2022)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
