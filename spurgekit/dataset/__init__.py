"""Datasets: labelled tiles, split by place, in a form that the usual readers know."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
