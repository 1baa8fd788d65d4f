"""Who does units of work: threads, processes, or the workers of a Dask cluster, by one interface."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
