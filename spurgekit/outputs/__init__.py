"""Outputs: folders and files that appear whole or not at all, with a record of how they were made."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
