"""Evaluation: many arms over the same few-shot support sets, with intervals, paired differences and power."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
