"""Whether augmentation helps on a dataset: every way to it on the same support sets, chosen, made, trained and compared."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
