"""Maps: a classifier slid over a whole site, as a COG, polygons and areas."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
