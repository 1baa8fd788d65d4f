"""Classifiers: train on a dataset, test on held-out places, predict tiles."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
