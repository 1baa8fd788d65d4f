"""spurgekit: from drone imagery and scarce labels to fine-scale maps of a weed."""

__version__ = "0.1.0"
