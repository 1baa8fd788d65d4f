"""Export: a map's patches for those who act on it, in the formats that they take."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
