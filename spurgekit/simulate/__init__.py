"""Made-up surveys whose truth is known to the pixel, for the demo, for tests and for benchmarks."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
