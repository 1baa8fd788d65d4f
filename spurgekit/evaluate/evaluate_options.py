"""What to compare, and by which metric."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from spurgekit.classify.arms import parse_arm, parse_arms
from spurgekit.classify.metrics import DEFAULT_METRIC, METRICS
from spurgekit.classify.train_options import ArmOptions
from spurgekit.dataset.fold_options import FoldOptions
from spurgekit.dataset.shots import SHOTS, TRIALS
from spurgekit.errors import InputError

DEFAULT_ARMS = ("plain", "plain+dihedral", "probe", "probe+randaugment", "probe+cutmix", "probe+mixup")


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions(FoldOptions, ArmOptions):
    """What to compare.

    Attributes
    ----------
    arms : tuple of str
        Recipes, with augmentations and controls joined by '+'.

        See :mod:`spurgekit.classify.arms`.
    baseline : str, optional
        The arm that the others are held against. Default: the first.
    shots : tuple of int
        Tiles a class; 'all' is the training split.

        ``ALL_SHOTS`` (0) stands for all.
    trials : int
        Support sets of each number of shots.
    transductive : bool
        Let arms look at the tiles that they are tested on, without their labels; the report says so.
    metric : str
        Metric that the curves and the table show.
    resolve : float
        The difference that the trials ought to resolve.
    confidence : float
        Of the intervals.
    """

    arms: tuple[str, ...] = DEFAULT_ARMS
    baseline: str | None = None
    shots: tuple[int, ...] = SHOTS
    trials: int = TRIALS
    transductive: bool = False
    metric: Annotated[str, METRICS] = DEFAULT_METRIC
    resolve: float = 0.02
    confidence: float = 0.95

    def __post_init__(self) -> None:
        ArmOptions.__post_init__(self)
        FoldOptions.__post_init__(self)
        if self.trials < 1 or not self.shots or min(self.shots) < 0:
            raise InputError(f"{self.trials} trials of {self.shots or 'no'} shots cannot be; pass positive numbers, or all")
        if other := [arm for arm in parse_arms(self.arms) if "presence" not in arm.recipe.targets]:
            raise InputError(f"the arm {other[0]} learns cover, and arms are compared by the classes of tiles; leave it out")
        if not self.transductive and (others := [arm for arm in parse_arms(self.arms) if arm.has("adapt")]):
            raise InputError(
                f"the arm {others[0]} looks at the tiles that it is tested on; pass `transductive`, and the report says so"
            )
        arms = [str(arm) for arm in parse_arms(self.arms)]
        if self.baseline is not None and str(parse_arm(self.baseline)) not in arms:
            raise InputError(f"`baseline={self.baseline}` is none of the arms {', '.join(arms)}")
