"""Ground markers: families of them, how they are found in an image, and images placed by markers of known coordinates."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
