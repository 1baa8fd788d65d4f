"""spurgekit: from drone imagery and scarce labels to fine-scale maps of a weed."""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
