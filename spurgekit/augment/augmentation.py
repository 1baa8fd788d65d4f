"""Augmentations by name: ``dihedral``, ``flip+randaugment``, ``dihedral+randaugment+cutmix``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spurgekit.dihedral import FLIPS, VIEWS, view_of
from spurgekit.errors import InputError, UnknownNameError, known_names
from spurgekit.registry import Registry
from spurgekit.seeds import seed_of

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentationStep:
    """What one name stands for.

    Attributes
    ----------
    name : str
    description : str
    views : tuple of int
        Views (see :func:`~spurgekit.dihedral.view_of`) that one is drawn from for each image; empty if it does not turn.
    alter : callable, optional
        ``alter(image, seed)`` returns an image [bands, height, width] altered, of the same shape and dtype. What it draws is
        fixed by the seed.
    mix : callable, optional
        ``mix(images, targets, seed)`` returns the images of a batch [n, bands, height, width] mixed with one another, and their
        targets [n, classes] likewise.
    needs_rgb : bool
        Whether it works on 3 bands of uint8 only.
    """

    name: str
    description: str
    views: tuple[int, ...] = ()
    alter: Callable[[Tensor, int], Tensor] | None = None
    mix: Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor]] | None = None
    needs_rgb: bool = False


def _randaugment(image: Tensor, seed: int) -> Tensor:
    from spurgekit.augment.randaugment import randaugmented

    return randaugmented(image, seed)


def _cutmix(images: Tensor, targets: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    from spurgekit.augment.mixing import mixed

    return mixed(images, targets, cutmix_alpha=CUTMIX_ALPHA, probability=CUTMIX_PROBABILITY, seed=seed)


def _mixup(images: Tensor, targets: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    from spurgekit.augment.mixing import mixed

    return mixed(images, targets, mixup_alpha=MIXUP_ALPHA, seed=seed)


CUTMIX_ALPHA = 1.0
"""Its authors' (Yun et al. 2019, arXiv:1905.04899)."""

CUTMIX_PROBABILITY = 0.5
"""That an image is mixed: its authors' where a backbone sees few images (on CIFAR), and that of DA-Fusion's reference code."""

MIXUP_ALPHA = 0.2
"""Within what its authors found good on ImageNet, 0.1 to 0.4 (Zhang et al. 2018, arXiv:1710.09412)."""

NONE = "none"
AUGMENTATIONS = Registry(
    "augmentation",
    [
        AugmentationStep(name=NONE, description="tiles as they are; stands alone"),
        AugmentationStep(name="flip", description="mirrored left to right, top to bottom, both or neither", views=FLIPS),
        AugmentationStep(
            name="dihedral", description="any of the 8 ways to turn and mirror a square", views=tuple(range(VIEWS))
        ),
        AugmentationStep(
            name="randaugment",
            description="two random operations on colours and geometry (torchvision's defaults: magnitude 9 of 30)",
            alter=_randaugment,
            needs_rgb=True,
        ),
        AugmentationStep(name="cutmix", description="a rectangle from another tile", mix=_cutmix),
        AugmentationStep(name="mixup", description="a blend with another tile", mix=_mixup),
    ],
)
"""All steps by name, in the order in which they are applied; yours comes last:
``AUGMENTATIONS.register(AugmentationStep(...))``."""


@dataclass(frozen=True, slots=True, repr=False)
class Augmentation:
    """One or several steps, applied one after the other; made by :func:`parse_augmentation`.

    Attributes
    ----------
    steps : tuple of AugmentationStep
        In the order of ``AUGMENTATIONS``.
    """

    steps: tuple[AugmentationStep, ...]

    @property
    def name(self) -> str:
        """The names of the steps in the order in which they are applied, joined by ``+``."""
        return "+".join(step.name for step in self.steps)

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"Augmentation({self.name!r})"

    @property
    def views(self) -> tuple[int, ...] | None:
        """The views that a tile can take, where nothing else is done to it; None where more is done."""
        return None if self._alters or self.mixes else self._drawn_from

    @property
    def mixes(self) -> bool:
        """Whether a sample is made of several tiles."""
        return any(step.mix for step in self.steps)

    @property
    def needs_rgb(self) -> bool:
        """Whether it works on 3 bands of uint8 only."""
        return any(step.needs_rgb for step in self.steps)

    @property
    def _alters(self) -> bool:
        return any(step.alter for step in self.steps)

    @property
    def _drawn_from(self) -> tuple[int, ...]:
        return next((step.views for step in self.steps if step.views), (0,))

    def check(self, bands: int, dtype: torch.dtype) -> None:
        """Raise an :class:`InputError` if tiles of so many bands and that dtype cannot be altered so."""
        what = str(dtype).removeprefix("torch.")
        for step in self.steps:
            if step.needs_rgb and (bands != 3 or what != "uint8"):
                raise InputError(
                    f"{step.name} works on 3 bands of uint8, and these tiles have {bands} of {what}; "
                    f"leave it out of the augmentation {self.name!r}"
                )

    def alter(self, images: Tensor, seeds: Sequence[int]) -> Tensor:
        """Alter each image by itself: one of the views at random, then what the steps do to it.

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
        if not len(images) or (self._drawn_from == (0,) and not self._alters):
            return images
        import torch

        return torch.stack([self._alter_one(image, seed) for image, seed in zip(images, seeds, strict=True)])

    def _alter_one(self, image: Tensor, seed: int) -> Tensor:
        """Alter an image [bands, height, width]."""
        image = view_of(image, self._drawn_from[seed_of(seed, "turn") % len(self._drawn_from)])
        for step in self.steps:
            if step.alter is not None:
                image = step.alter(image, seed)
        return image

    def mix(self, images: Tensor, targets: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """Mix the images of a batch in pairs (CutMix, MixUp, or one of several ways at random), and their labels.

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
        Each tile has a chance of one half to get a rectangle of the other, and as much of its label:

        >>> import torch
        >>> tiles = torch.stack([torch.zeros(1, 8, 8), torch.ones(1, 8, 8)])
        >>> tiles, targets = parse_augmentation("cutmix").mix(tiles, torch.eye(2), seed=5)
        >>> [float(tile.mean()) for tile in tiles]
        [0.25, 1.0]
        >>> targets.tolist()
        [[0.75, 0.25], [0.0, 1.0]]
        """
        if len(targets) != len(images) or targets.ndim != 2 or not targets.is_floating_point():
            raise ValueError(f"{len(images)} images want targets of floats, one row each; not {targets.dtype} {targets.shape}")
        ways = [step.mix for step in self.steps if step.mix is not None]
        if not ways:
            return images, targets
        return ways[seed_of(seed, "way") % len(ways)](images, targets, seed)


def parse_augmentation(text: str) -> Augmentation:
    """Return the augmentation of a name: one or more of :data:`AUGMENTATIONS`, joined by ``+`` in any order.

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
        if name not in AUGMENTATIONS:
            joined = "and several joined by '+'"
            raise UnknownNameError(f"there is no augmentation {name!r}{known_names(name, AUGMENTATIONS)}, {joined}")
        if names.count(name) > 1:
            raise InputError(f"the augmentation {text!r} has {name} twice; name it once")
    if NONE in names and len(names) > 1:
        raise InputError(f"the augmentation {text!r} joins {NONE} with others; it stands alone")
    if len(turning := [name for name in names if AUGMENTATIONS[name].views]) > 1:
        raise InputError(f"the augmentation {text!r} turns tiles in two ways, {' and '.join(turning)}; name one of them")
    return Augmentation(tuple(step for step in AUGMENTATIONS.values() if step.name in names))
