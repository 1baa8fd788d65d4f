"""More training tiles than there are: turned, recoloured, mixed, or made by a diffusion model."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
