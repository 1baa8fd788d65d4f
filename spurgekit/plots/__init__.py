"""The plots that ground markers mark out, and the lattice that they lie on."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
