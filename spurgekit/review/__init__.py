"""Review: a local page on which people verify tiles, and a report of how far they are and how far they agree."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
