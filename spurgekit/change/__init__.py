"""Change: two maps of one site at two dates compared, with gain, loss and their areas."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
