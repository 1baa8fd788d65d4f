"""Accuracy: a random sample of a map's cells, drawn to be labelled, and what the labels say of the map."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
