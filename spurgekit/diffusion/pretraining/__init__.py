"""Pretraining: a small latent diffusion model of a survey's own ground, learned without labels."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
