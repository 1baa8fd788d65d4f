"""What is to be made, and what was, as values: any process with the same model makes the same images of a unit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from spurgekit.errors import InputError

if TYPE_CHECKING:
    from spurgekit.diffusion.image_tensors import Picture

Mode = Literal["edit", "text", "roundtrip"]
"""SDEdit of a tile; from noise alone; through the VAE and back."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One image to make.

    Attributes
    ----------
    id : str
        For messages.
    source : pathlib.Path
        The real tile; an image from noise alone takes only its size.
    prompt, negative : str
        What is wanted, and what is not.
    seed : int
        Of all that is drawn for the image.
    concepts : tuple of pathlib.Path
        Embedding files of the tokens that the prompts may use.
    mask : pathlib.Path or None
        A grey image of 8 bits and the tile's size: 255 where the tile may change, 0 where it may not, grey for both mixed.
    concept_scale : float
        Multiplies the vectors of the concepts in the prompt.
    concept_noise : float
        Standard deviation of noise on these vectors.
    """

    id: str
    source: Path
    prompt: str = ""
    negative: str = ""
    seed: int = 0
    concepts: tuple[Path, ...] = ()
    mask: Path | None = None
    concept_scale: float = 1.0
    concept_noise: float = 0.0


@dataclass(frozen=True, slots=True)
class EditUnit:
    """Images that are made in one batch, of one strength.

    Attributes
    ----------
    edits : tuple of Edit
        All of them with masks, or none.
    mode : {"edit", "text", "roundtrip"}
    strength : float
        Of edits: the share of the scheduler's noise that a tile is given.
    """

    edits: tuple[Edit, ...]
    mode: Mode
    strength: float

    def __post_init__(self) -> None:
        masks = {edit.mask is not None for edit in self.edits}
        if len(masks) > 1:
            raise ValueError("a unit's edits have masks all, or none")
        if self.mode == "text" and True in masks:
            raise InputError("an image from the prompt alone has no tile to leave as it is; leave the mask out")


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """How images are made.

    Attributes
    ----------
    steps : int
        Of the scheduler over the whole of its noise; an edit takes ``int(steps * strength)`` of them.
    guidance : float
        Weight of the prompt (classifier-free guidance); at 1 or less there is none, and the UNet runs half as often.
    scheduler : str
        See :data:`spurgekit.diffusion.schedulers.SCHEDULERS`.
    size_px : int, optional
        Side at which the model works; by default the one that it was trained at.
    keep_detail : bool
        Add to each edit what its tile loses on its way through the encoder and back, so that it is the tile but for what was
        edited.
    decode_batch : int
        Images that are decoded at a time, which takes more memory than to take noise out of them.
    compile : bool
        Compile the UNet on a GPU: takes a minute for each new size of a batch, and is worth it for thousands of images.
    """

    steps: int = 25
    guidance: float = 7.5
    scheduler: str = "dpm++"
    size_px: int | None = None
    keep_detail: bool = False
    decode_batch: int = 4
    compile: bool = False

    def __post_init__(self) -> None:
        for name in ("steps", "decode_batch"):
            if getattr(self, name) < 1:
                raise InputError(f"`{name}={getattr(self, name)}` is too small; pass 1 or more")
        if not 0 <= self.guidance < float("inf"):
            raise InputError(f"a guidance of {self.guidance:g} cannot be; pass 0 or more")


@dataclass(frozen=True, slots=True, eq=False)
class Rendered:
    """What was made.

    Attributes
    ----------
    images : tuple of ndarray of uint8, shape (height, width, 3), or None
        In the sizes of their tiles; None where the safety checker kept one back.
    redone_in_float32 : int
        How many were not finite in half precision.
    batch_size : int
        How many were made at once.
    """

    images: tuple[Picture | None, ...]
    redone_in_float32: int
    batch_size: int


def steps_of(steps: int, strength: float) -> int:
    """Return how many of a scheduler's steps an edit takes.

    Raises
    ------
    InputError
        If it is none, or the strength is none.

    Examples
    --------
    >>> steps_of(25, 0.5)
    12
    """
    if not 0 < strength <= 1:
        raise InputError(f"a strength of {strength:g} cannot be; pass a number above 0, at most 1")
    count = int(steps * strength)
    if count == 0:
        least = math.ceil(1000 / steps) / 1000
        more = math.ceil(1 / strength)
        more += int(more * strength) == 0  # by rounding
        raise InputError(
            f"a strength of {strength:g} is less than one of {steps} steps; "
            f"pass a strength of {least:g} or more, or `steps={more}`"
        )
    return count
