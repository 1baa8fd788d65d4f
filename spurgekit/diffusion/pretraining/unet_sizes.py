"""Sizes of UNets that a survey's own tiles can teach, by name."""

from __future__ import annotations

from dataclasses import dataclass

from spurgekit.registry import Registry


@dataclass(frozen=True, slots=True)
class UnetSize:
    """How large a UNet is, and the text encoder that goes with it.

    Attributes
    ----------
    name : str
    description : str
    widths : tuple of int
        Channels of its levels, each of half the side of the one before. The first has no attention, as in the published models
        of pixels: there it costs most and tells least.
    layers : int
        Residual blocks of a level, on the way down.
    text_width : int
        Numbers that a token is told by.
    text_layers : int
        Of the text encoder.
    """

    name: str
    description: str
    widths: tuple[int, ...]
    layers: int = 1
    text_width: int = 128
    text_layers: int = 2

    @property
    def halvings(self) -> int:
        """How often the side of its latents is halved."""
        return len(self.widths) - 1


UNET_SIZES = Registry(
    "size of a UNet",
    [
        UnetSize("small", "11 M parameters: a laptop's CPU overnight", (64, 128, 192)),
        UnetSize("medium", "21 M parameters: many hours of a CPU, or minutes of a GPU", (96, 192, 256)),
        UnetSize("large", "34 M parameters: a GPU", (128, 256, 320)),
    ],
)
"""All sizes; yours is one more: ``UNET_SIZES.register(UnetSize(...))``."""
