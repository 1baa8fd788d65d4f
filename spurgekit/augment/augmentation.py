"""Augmentations by name: ``dihedral``, ``flip+randaugment``, ``dihedral+randaugment+cutmix``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spurgekit.dihedral import FLIPS, VIEWS, view_of
from spurgekit.errors import InputError, known_names
from spurgekit.seeds import seed_of

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Choice:
    """What one name stands for.

    Attributes
    ----------
    name : str
    views : tuple of int
        Views (see :func:`~spurgekit.dihedral.view_of`) that one is drawn from for each image; empty if it does not turn.
    randaugment : bool
        Whether RandAugment follows.
    cutmix_alpha, mixup_alpha : float
        Of the beta distribution that shares are drawn from; 0 where it does not mix so.
    """

    name: str
    views: tuple[int, ...] = ()
    randaugment: bool = False
    cutmix_alpha: float = 0.0
    mixup_alpha: float = 0.0


NONE = "none"
# CutMix's alpha is its authors' (Yun et al. 2019, arXiv:1905.04899), mixup's is within what its authors found good on ImageNet,
# 0.1 to 0.4 (Zhang et al. 2018, arXiv:1710.09412).
CHOICES = {
    choice.name: choice
    for choice in (
        Choice(NONE),
        Choice("flip", views=FLIPS),
        Choice("dihedral", views=tuple(range(VIEWS))),
        Choice("randaugment", randaugment=True),
        Choice("cutmix", cutmix_alpha=1.0),
        Choice("mixup", mixup_alpha=0.2),
    )
}
"""All choices by name, in the order in which they are applied."""


@dataclass(frozen=True, slots=True)
class Augmentation:
    """One or several choices, applied one after the other; made by :func:`parse_augmentation`.

    Attributes
    ----------
    choices : tuple of Choice
        In the order of ``CHOICES``.
    """

    choices: tuple[Choice, ...]

    @property
    def name(self) -> str:
        """The names of the choices in the order in which they are applied, joined by ``+``."""
        return "+".join(choice.name for choice in self.choices)

    def __str__(self) -> str:
        return self.name

    @property
    def views(self) -> tuple[int, ...] | None:
        """The views that a tile can take, where nothing else is done to it; None where more is done."""
        return None if self._randaugments or self.mixes else self._drawn_from

    @property
    def mixes(self) -> bool:
        """Whether a sample is made of several tiles."""
        return any(choice.cutmix_alpha or choice.mixup_alpha for choice in self.choices)

    @property
    def needs_rgb(self) -> bool:
        """Whether it works on 3 bands of uint8 only."""
        return self._randaugments

    @property
    def _randaugments(self) -> bool:
        return any(choice.randaugment for choice in self.choices)

    @property
    def _drawn_from(self) -> tuple[int, ...]:
        return next((choice.views for choice in self.choices if choice.views), (0,))

    def check(self, bands: int, dtype: torch.dtype) -> None:
        """Raise an :class:`InputError` if tiles of so many bands and that dtype cannot be altered so."""
        what = str(dtype).removeprefix("torch.")
        if self.needs_rgb and (bands != 3 or what != "uint8"):
            raise InputError(
                f"randaugment works on 3 bands of uint8, and these tiles have {bands} of {what}; "
                f"leave it out of the augmentation {self.name!r}"
            )

    def alter(self, images: Tensor, seeds: Sequence[int]) -> Tensor:
        """Alter each image by itself: one of the views at random, then RandAugment.

        Parameters
        ----------
        images : Tensor, shape (n, bands, height, width)
            Of any dtype; they are not changed in place.
        seeds : sequence of int, length n
            What is done to an image depends on its own seed only, whatever else is in the batch.

        Returns
        -------
        Tensor, shape (n, bands, height, width)
            Of the same dtype.

        Raises
        ------
        InputError
            If the tiles do not suit: see :meth:`check`; quarter turns want square ones.

        Examples
        --------
        >>> import torch
        >>> tile = torch.tensor([[[[1, 2], [3, 4]]]])
        >>> flips = [parse_augmentation("flip").alter(tile, [seed]).tolist() for seed in range(20)]
        >>> sorted({str(rows) for [[rows]] in flips})
        ['[[1, 2], [3, 4]]', '[[2, 1], [4, 3]]', '[[3, 4], [1, 2]]', '[[4, 3], [2, 1]]']
        """
        if len(seeds) != len(images):
            raise ValueError(f"{len(images)} images want as many seeds, not {len(seeds)}")
        bands, height, width = images.shape[1:]
        self.check(bands, images.dtype)
        if height != width and any(view % 2 for view in self._drawn_from):
            raise InputError(
                f"tiles of {width} x {height} px are not square, so they cannot be turned by 90 degrees; "
                f"pass flip in place of dihedral in the augmentation {self.name!r}"
            )
        if not len(images) or (self._drawn_from == (0,) and not self._randaugments):
            return images
        import torch

        return torch.stack([self._alter_one(image, seed) for image, seed in zip(images, seeds, strict=True)])

    def _alter_one(self, image: Tensor, seed: int) -> Tensor:
        """Alter an image [bands, height, width]."""
        image = view_of(image, self._drawn_from[seed_of(seed, "turn") % len(self._drawn_from)])
        if self._randaugments:
            from spurgekit.augment.randaugment import randaugmented

            image = randaugmented(image, seed)
        return image

    def mix(self, images: Tensor, targets: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """Mix the images of a batch in pairs (CutMix, MixUp, or one of the two at random), and their labels.

        Pairs are made by the place in the batch, so batches want to be shuffled. Where the augmentation does not mix, and
        for a batch of one, images and targets come back as they are.

        Parameters
        ----------
        images : Tensor, shape (n, bands, height, width)
            Integers or floats, normalised or not; they are not changed in place.
        targets : Tensor of floats, shape (n, classes)
            Weights of the classes, with sum 1.
        seed : int

        Returns
        -------
        images : Tensor, shape (n, bands, height, width)
            Of the same dtype; integers are rounded.
        targets : Tensor, shape (n, classes)
            With sum 1.

        Examples
        --------
        A quarter of the pixels of black and of white tiles is exchanged, so a quarter of each label is the other's:

        >>> import torch
        >>> tiles = torch.stack([torch.zeros(1, 8, 8), torch.ones(1, 8, 8)])
        >>> tiles, targets = parse_augmentation("cutmix").mix(tiles, torch.eye(2), seed=0)
        >>> [float(tile.mean()) for tile in tiles]
        [0.25, 0.75]
        >>> targets.tolist()
        [[0.75, 0.25], [0.25, 0.75]]
        """
        if len(targets) != len(images) or targets.ndim != 2 or not targets.is_floating_point():
            raise ValueError(f"{len(images)} images want targets of floats, one row each; not {targets.dtype} {targets.shape}")
        if not self.mixes:
            return images, targets
        from spurgekit.augment.mixing import mixed

        return mixed(
            images,
            targets,
            cutmix_alpha=max(choice.cutmix_alpha for choice in self.choices),
            mixup_alpha=max(choice.mixup_alpha for choice in self.choices),
            seed=seed,
        )


def parse_augmentation(text: str) -> Augmentation:
    """Return the augmentation of a name: one or more of these, joined by ``+`` in any order.

    ========================  =================================================================================
    ``none``                  tiles as they are; stands alone
    ``flip``                  mirrored left to right, top to bottom, both or neither
    ``dihedral``              any of the 8 ways to turn and mirror a square
    ``randaugment``           two random operations on colours and geometry (timm's ``rand-m9-mstd0.5-inc1``)
    ``cutmix``, ``mixup``     a rectangle from another tile, a blend with another tile; both: one of the two at random
    ========================  =================================================================================

    Raises
    ------
    InputError
        If a name is not known, or the choices do not go together.

    Examples
    --------
    >>> str(parse_augmentation("cutmix + dihedral"))
    'dihedral+cutmix'
    >>> parse_augmentation("flip").views
    (0, 2, 4, 6)
    """
    names = [name.strip() for name in text.split("+")]
    for name in names:
        if name not in CHOICES:
            joined = "and several joined by '+'"
            raise InputError(f"there is no augmentation {name!r}{known_names(name, CHOICES)}, {joined}")
        if names.count(name) > 1:
            raise InputError(f"the augmentation {text!r} has {name} twice; name it once")
    if NONE in names and len(names) > 1:
        raise InputError(f"the augmentation {text!r} joins {NONE} with others; it stands alone")
    if len(turning := [name for name in names if CHOICES[name].views]) > 1:
        raise InputError(f"the augmentation {text!r} turns tiles in two ways, {' and '.join(turning)}; name one of them")
    return Augmentation(tuple(choice for choice in CHOICES.values() if choice.name in names))
