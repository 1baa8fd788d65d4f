"""Arms: what is trained and compared, by name: ``probe``, ``lora+randaugment+cutmix``, ``finetune+dihedral+longer``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from spurgekit.augment.augmentation import AUGMENTATIONS, NONE, Augmentation, parse_augmentation
from spurgekit.errors import InputError, UnknownNameError, known_names
from spurgekit.registry import Registry

if TYPE_CHECKING:
    from spurgekit.classify.probe import Probe
    from spurgekit.classify.probe_samples import ProbeUnit
    from spurgekit.classify.recipes import Trained, TrainingTask


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A way to make a classifier: by fitting it to the features of a frozen backbone, or by training the backbone in steps.

    Attributes
    ----------
    name : str
    description : str
    views : {1, 8}
        Views of a tile (turned and mirrored) that features, or logits, are averaged over.
    unit_features : bool
        Whether the features of a view are scaled to length 1.
    shrinks_turns : bool
        Whether directions in which the turns of a tile differ are shrunk (see :mod:`spurgekit.classify.turns`), of all samples
        alike; of a recipe that fits.
    spreads_labels : bool
        Whether labels of single tiles are spread to unlabelled ones (see :mod:`spurgekit.classify.label_spreading`); of a
        recipe that fits.
    fit : callable, optional
        Of a recipe that leaves the backbone as it is: ``fit(unit)`` returns the linear classifier of samples, with its logits
        of those that were left out in turn (a :class:`~spurgekit.classify.probe.Probe` of a
        :class:`~spurgekit.classify.probe_samples.ProbeUnit`).
    train : callable, optional
        Of one that trains it in steps: ``train(task)`` returns what training gives (a
        :class:`~spurgekit.classify.recipes.Trained` of a :class:`~spurgekit.classify.recipes.TrainingTask`).
    alone : bool
        Whether it takes no augmentations and no controls.
    targets : tuple of {"presence", "cover"}
        What it can learn of a tile.
    needs_masks : bool
        Whether it learns from masks of tiles.
    """

    name: str
    description: str
    views: Literal[1, 8] = 8
    unit_features: bool = False
    shrinks_turns: bool = False
    spreads_labels: bool = False
    fit: Callable[[ProbeUnit], Probe] | None = None
    train: Callable[[TrainingTask], Trained] | None = None
    alone: bool = False
    targets: tuple[Literal["presence", "cover"], ...] = ("presence",)
    needs_masks: bool = False

    def __post_init__(self) -> None:
        if (self.fit is None) is (self.train is None):
            raise ValueError(f"the recipe {self.name!r} needs a function that fits or one that trains")

    @property
    def is_frozen(self) -> bool:
        """Whether the backbone stays as it is."""
        return self.fit is not None


@dataclass(frozen=True, slots=True)
class Control:
    """Other tiles, or a control: what is given to an arm beside its recipe and its augmentation."""

    name: str
    description: str


def _fit_plain(unit: ProbeUnit) -> Probe:
    from spurgekit.classify.probe import PLAIN_C

    return unit.solve(c=PLAIN_C)


def _fit_probe(unit: ProbeUnit) -> Probe:
    from spurgekit.classify.probe import nearest_mean

    if unit.fewest > 1:
        return unit.solve_by_places()
    # Of one tile a class nothing can be left out to calibrate by: the nearest mean parts them alike, its spread being a prior.
    return replace(unit.fit_by(nearest_mean), equal_prior=True)


def _train_adapters(task: TrainingTask) -> Trained:
    from spurgekit.classify.recipes import train_in_steps

    return train_in_steps(task, learning="adapters")


def _train_all(task: TrainingTask) -> Trained:
    from spurgekit.classify.recipes import train_in_steps

    return train_in_steps(task, learning="all")


def _train_multiple_instance(task: TrainingTask) -> Trained:
    from spurgekit.classify.dense import train_multiple_instance

    return train_multiple_instance(task)


def _train_segmentation(task: TrainingTask) -> Trained:
    from spurgekit.classify.dense import train_segmentation

    return train_segmentation(task)


RECIPES = Registry(
    "recipe",
    [
        Recipe(
            name="plain",
            description="logistic regression (C = 0.1) on the features of a frozen backbone, as most would do it first",
            views=1,
            fit=_fit_plain,
            targets=("presence", "cover"),
        ),
        Recipe(
            name="probe",
            description="logistic regression on features of length 1, averaged over the 8 views of a tile, turns shrunk; "
            "the label of a class's only tile is spread to unlabelled ones",
            unit_features=True,
            shrinks_turns=True,
            spreads_labels=True,
            fit=_fit_probe,
            targets=("presence", "cover"),
        ),
        Recipe(
            name="lora",
            description="the backbone adapted by matrices of low rank, and a new classifier",
            train=_train_adapters,
        ),
        Recipe(
            name="finetune",
            description="all of the backbone trained on, and a new classifier",
            train=_train_all,
        ),
        Recipe(
            name="mil",
            description="multiple-instance learning on the positions of a frozen backbone: from the labels of tiles, where in "
            "them a class is",
            train=_train_multiple_instance,
            alone=True,
        ),
        Recipe(
            name="segment",
            description="semantic segmentation by a linear head on the positions of a frozen backbone: from masks, how much of "
            "each is covered",
            train=_train_segmentation,
            alone=True,
            targets=("cover",),
            needs_masks=True,
        ),
    ],
)
"""Ways to make a classifier; yours is one more: ``RECIPES.register(Recipe(...))``."""

EDITION = 5
"""Counted up where a recipe learns otherwise than before: what an earlier edition predicted is not gone on with."""

DEFAULT_ARM = "probe"

SYNTHETIC = "synthetic"
CONTROLS = Registry(
    "augmentation or control",
    [
        Control("supervised", "from labelled tiles alone: no labels are spread to unlabelled ones"),
        Control("adapt", "the threshold moved by the tiles that are tested, as maps can be moved to their site; transductive"),
        Control("longer", "twice the steps: what is gained by training on"),
        Control("retrieval", "the nearest unlabelled tiles, with the class of the support tile that they are like"),
        Control(SYNTHETIC, "tiles of an augmented/ folder; synthetic:NAME of the one that is called so"),
    ],
)
"""Other tiles, and controls."""


@dataclass(frozen=True, slots=True)
class Arm:
    """A recipe, what is done to its tiles, and what is given to it beside them.

    Attributes
    ----------
    recipe : Recipe
    augmentation : Augmentation
    controls : tuple of str
        Of ``CONTROLS``.
    folder : str
        Name of the folder that synthetic tiles are from; empty where there is but one.
    """

    recipe: Recipe
    augmentation: Augmentation
    controls: tuple[str, ...] = ()
    folder: str = ""

    def __str__(self) -> str:
        choices = [] if self.augmentation.name == NONE else [self.augmentation.name]
        controls = [f"{SYNTHETIC}:{self.folder}" if name == SYNTHETIC and self.folder else name for name in self.controls]
        return "+".join([self.recipe.name, *choices, *controls])

    def has(self, control: str) -> bool:
        """Whether something of ``CONTROLS`` is part of it."""
        return control in self.controls

    @property
    def spreads_labels(self) -> bool:
        """Whether labels are spread to unlabelled tiles."""
        return self.recipe.spreads_labels and not self.has("supervised")


def parse_arm(text: str) -> Arm:
    """Return the arm of a name: a recipe, then augmentations and controls joined by ``+`` in any order.

    Raises
    ------
    InputError
        If a name is not known, the parts do not go together, or one of them can make no difference.

    Examples
    --------
    >>> str(parse_arm("finetune + longer + dihedral"))
    'finetune+dihedral+longer'
    >>> parse_arm("lora").augmentation.name
    'none'
    >>> parse_arm("probe+synthetic:roundtrip").folder
    'roundtrip'
    """
    first, *parts = (name.strip() for name in text.split("+"))
    if first not in RECIPES:
        raise _unknown("recipe", first, RECIPES, text)
    recipe = RECIPES[first]
    names = [SYNTHETIC if part.startswith(f"{SYNTHETIC}:") else part for part in parts]
    folders = [part.removeprefix(f"{SYNTHETIC}:") for part in parts if part.startswith(f"{SYNTHETIC}:")]
    for name in names:
        if name == "duplicate":
            raise InputError(
                f"the arm {text!r} is the same without {name}, by construction: copies of a tile weigh as much as the tile "
                "together; leave it out"
            )
        if name not in AUGMENTATIONS and name not in CONTROLS:
            raise _unknown(CONTROLS.kind, name, [*AUGMENTATIONS, *CONTROLS], text)
    augmentation = parse_augmentation("+".join(name for name in names if name in AUGMENTATIONS) or NONE)
    controls = tuple(name for name in CONTROLS if name in names)
    if len(controls) < sum(name in CONTROLS for name in names):
        raise InputError(f"the arm {text!r} names a control twice; name it once")
    if len({"retrieval", "synthetic"} & set(controls)) == 2:
        raise InputError(f"the arm {text!r} adds tiles from two places; compare retrieval and synthetic as two arms")
    if recipe.alone and names:
        raise InputError(f"the arm {text!r}: {recipe.name} takes nothing beside it; use {DEFAULT_ARM}")
    if recipe.is_frozen and recipe.views > 1 and augmentation.name != NONE and augmentation.views is not None:
        raise InputError(
            f"the arm {text!r} is the same without {augmentation}, by construction: {recipe.name} describes a tile by its "
            f"{recipe.views} turns together; leave it out, or compare plain+{augmentation} with plain"
        )
    if "supervised" in controls and not recipe.spreads_labels:
        raise InputError(f"the arm {text!r} is the same without supervised: {recipe.name} learns from labelled tiles alone")
    if "longer" in controls and recipe.is_frozen:
        raise InputError(f"the arm {text!r}: a frozen backbone is not trained in steps; leave 'longer' out")
    return Arm(recipe, augmentation, controls, folders[0] if folders else "")


def parse_arms(texts: Sequence[str]) -> tuple[Arm, ...]:
    """Return the arms of some names, each once.

    Raises
    ------
    InputError
        If there are none, or one is named twice.
    """
    arms = tuple(parse_arm(text) for text in texts)
    if not arms:
        raise InputError("no arms to compare; pass `arms`, e.g. plain,probe,probe+cutmix")
    for arm in arms:
        if arms.count(arm) > 1:
            raise InputError(f"`arms` names {arm} twice")
    return arms


def _unknown(what: str, name: str, known: Iterable[str], text: str) -> UnknownNameError:
    where = "" if name == text else f" in {text!r}"
    return UnknownNameError(f"there is no {what} {name!r}{where}{known_names(name, known)}")
