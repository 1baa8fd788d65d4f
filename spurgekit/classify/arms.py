"""Arms: what is compared, by name. ``probe``, ``probe+dihedral``, ``lora+randaugment+cutmix``, ``probe+duplicate``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spurgekit.augment import Augmentation, parse_augmentation
from spurgekit.augment.augmentation import CHOICES, NONE
from spurgekit.errors import InputError, known_names

RECIPES = {
    "plain": "logistic regression (C = 0.1) on the features of a frozen backbone, as most would do it first",
    "probe": "logistic regression on features of length 1, averaged over the 8 views of a tile, C by leaving out",
    "lora": "the backbone adapted by matrices of low rank, and a new classifier",
    "finetune": "all of the backbone trained on, and a new classifier",
}
"""Ways to make a classifier, and what they are."""

SYNTHETIC = "synthetic"

FROZEN = ("plain", "probe")
"""Recipes that leave the backbone as it is."""

EXTRAS = {
    "duplicate": "the real tiles again, as often as an augmentation would alter them: what is gained by more rows alone",
    "longer": "twice the steps: what is gained by training on",
    "retrieval": "the nearest unlabelled tiles, with the class of the support tile that they are like",
    "synthetic": "tiles of an augmented/ folder; synthetic:NAME of the one that is called so",
}
"""Other tiles, and controls."""


@dataclass(frozen=True, slots=True)
class Arm:
    """A recipe, what is done to its tiles, and what is given to it beside them.

    Attributes
    ----------
    recipe : str
        One of ``RECIPES``.
    augmentation : Augmentation
    extras : tuple of str
        Of ``EXTRAS``.
    folder : str
        Name of the folder that synthetic tiles are from; empty where there is but one.
    """

    recipe: str
    augmentation: Augmentation
    extras: tuple[str, ...] = ()
    folder: str = ""

    def __str__(self) -> str:
        choices = [] if self.augmentation.name == NONE else [self.augmentation.name]
        extras = [f"{SYNTHETIC}:{self.folder}" if name == SYNTHETIC and self.folder else name for name in self.extras]
        return "+".join([self.recipe, *choices, *extras])

    @property
    def is_frozen(self) -> bool:
        """Whether the backbone stays as it is."""
        return self.recipe in FROZEN

    def has(self, extra: str) -> bool:
        """Whether something of ``EXTRAS`` is part of it."""
        return extra in self.extras


def parse_arm(text: str) -> Arm:
    """Return the arm of a name: a recipe, then augmentations and extras joined by ``+`` in any order.

    Raises
    ------
    InputError
        If a name is not known, or the parts do not go together.

    Examples
    --------
    >>> str(parse_arm("probe + duplicate + dihedral"))
    'probe+dihedral+duplicate'
    >>> parse_arm("lora").augmentation.name
    'none'
    >>> parse_arm("probe+synthetic:roundtrip").folder
    'roundtrip'
    """
    recipe, *parts = (name.strip() for name in text.split("+"))
    if recipe not in RECIPES:
        raise InputError(_unknown("recipe", recipe, list(RECIPES), text))
    names = [SYNTHETIC if part.startswith(f"{SYNTHETIC}:") else part for part in parts]
    folders = [part.removeprefix(f"{SYNTHETIC}:") for part in parts if part.startswith(f"{SYNTHETIC}:")]
    for name in names:
        if name not in CHOICES and name not in EXTRAS:
            raise InputError(_unknown("augmentation or control", name, [*CHOICES, *EXTRAS], text))
    augmentation = parse_augmentation("+".join(name for name in names if name in CHOICES) or NONE)
    extras = tuple(name for name in EXTRAS if name in names)
    if len(extras) < sum(name in EXTRAS for name in names):
        raise InputError(f"the arm {text!r} names a control twice; name it once")
    if len({"retrieval", "synthetic"} & set(extras)) == 2:
        raise InputError(f"the arm {text!r} adds tiles from two places; compare retrieval and synthetic as two arms")
    if recipe == "plain" and names:
        raise InputError(f"the arm {text!r}: plain is a baseline and takes nothing beside it; use probe")
    if "longer" in extras and recipe in FROZEN:
        raise InputError(f"the arm {text!r}: a frozen backbone is not trained in steps; leave 'longer' out")
    return Arm(recipe, augmentation, extras, folders[0] if folders else "")


def parse_arms(texts: Sequence[str]) -> tuple[Arm, ...]:
    """Return the arms of some names, each once.

    Raises
    ------
    InputError
        If there are none, or one is named twice.
    """
    arms = tuple(parse_arm(text) for text in texts)
    if not arms:
        raise InputError("no arms to compare; pass --arms, e.g. plain,probe,probe+dihedral")
    for arm in arms:
        if arms.count(arm) > 1:
            raise InputError(f"--arms names {arm} twice")
    return arms


def _unknown(what: str, name: str, known: Sequence[str], text: str) -> str:
    where = "" if name == text else f" in {text!r}"
    return f"there is no {what} {name!r}{where}{known_names(name, known)}"
