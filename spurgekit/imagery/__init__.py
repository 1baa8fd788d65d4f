"""Images on the ground: grids of pixels, and one reader for orthomosaics and frames."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
