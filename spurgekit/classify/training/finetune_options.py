"""How to train on a backbone in steps, and how that went."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from spurgekit.augment.augmentation import Augmentation, parse_augmentation
from spurgekit.errors import InputError
from spurgekit.options import Options
from spurgekit.precision import Precision, PrecisionName

LEARNING_RATES = {"adapters": 1e-3, "all": 1e-4}
"""The Leafy Spurge Dataset's own LoRA took 1e-4, and many more steps."""

HEAD_LEARNING_RATE = 1e-3


@dataclass(frozen=True, kw_only=True)
class FinetuneOptions(Options):
    """How to train on a backbone in steps; what learns, augmentation, precision and seed are those of the arm.

    Attributes
    ----------
    learning : {"adapters", "all"}
        Whether adapters of low rank learn (Hu et al. 2021), or all weights.
    steps : int
        Batches of lora and finetune, as many for every arm that is compared, so that none wins by more updates.
    batch_size : int
        Tiles in a batch.
    learning_rate : float, optional
        Highest learning rate of lora and finetune. Default: the recipe's.

        It is 1e-3 for adapters, 1e-4 for all weights.
    head_learning_rate : float
        Highest learning rate of the classifier, which starts from random weights.
    weight_decay : float
        Of AdamW, on weights; biases and the scales of norms do not decay.
    warmup : float
        Share of the steps in which the learning rate rises; then it falls by half a cosine.
    rank : int
        Of the adapters.
    alpha : int
        What the adapters add is scaled by ``alpha / rank``.
    dropout : float
        Share of the adapters' inputs that are dropped.
    augment : Augmentation
    precision : {"auto", "float32", "bfloat16"}
        See :func:`spurgekit.precision.pick_precision`.
    early_stopping : bool
        Whether lora and finetune stop early, by training places that are held out; never with 4 tiles a class or fewer.

        The weights of the least loss on validation tiles are kept.
    seed : int
    """

    learning: Literal["adapters", "all"] = "adapters"
    steps: int = 200
    batch_size: int = 32
    learning_rate: float | None = None
    head_learning_rate: float = HEAD_LEARNING_RATE
    weight_decay: float = 0.01
    warmup: float = 0.1
    rank: int = 8
    alpha: int = 8
    dropout: float = 0.0
    augment: Augmentation = field(default_factory=lambda: parse_augmentation("dihedral"))
    precision: Precision = "auto"
    early_stopping: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        Options.__post_init__(self)
        for name in ("steps", "batch_size", "rank", "alpha"):
            if getattr(self, name) < 1:
                raise InputError(f"`{name}={getattr(self, name)}` is too small; pass 1 or more")
        if not self.full_rate > 0 or not self.head_learning_rate > 0:
            raise InputError(f"learning rates of {self.full_rate:g} and {self.head_learning_rate:g} are not both above 0")
        if not self.weight_decay >= 0:
            raise InputError(f"a weight decay of {self.weight_decay:g} cannot be; pass 0 or more")
        if not 0 <= self.warmup <= 1 or not 0 <= self.dropout < 1:
            raise InputError(f"warmup {self.warmup:g} and dropout {self.dropout:g} are shares; pass numbers from 0 to 1")

    @property
    def full_rate(self) -> float:
        """The highest learning rate."""
        return LEARNING_RATES[self.learning] if self.learning_rate is None else self.learning_rate


@dataclass(frozen=True, slots=True)
class FinetuneReport:
    """How a training went.

    Attributes
    ----------
    steps : int
        That were done.
    best_step : int or None
        Steps after which the weights were as they are now, where it looked at validation tiles; None: after all.
    losses : tuple of float
        Of each step, on what was drawn and altered.
    validation : tuple of (int, float)
        Steps done and the mean over the classes of the negative log-likelihood on the validation tiles then.
    prior : tuple of float
        Share of each class in what was drawn. The probabilities hold for ground where the classes have these shares; elsewhere
        they are to be corrected.
    precision : {"float32", "bfloat16"}
    learned : int
        Numbers that were learned.
    notes : tuple of str
        What a reader should know, such as why early stopping was off.
    """

    steps: int
    best_step: int | None
    losses: tuple[float, ...]
    validation: tuple[tuple[int, float], ...]
    prior: tuple[float, ...]
    precision: PrecisionName
    learned: int
    notes: tuple[str, ...]
