"""What ``model.json`` says of a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from spurgekit.classify.backbone_arguments import BackboneArguments
from spurgekit.classify.model_files import DESCRIPTION
from spurgekit.classify.model_sources import find_model
from spurgekit.dataset.split_info import SplitInfo
from spurgekit.errors import ModelError
from spurgekit.reading import (
    ClassNames,
    Count,
    Described,
    Finite,
    Gsd,
    Line,
    NumberOrNone,
    Positive,
    Share,
    Side,
    known_version,
    read_described,
)
from spurgekit.text import shown

REMEDY = "get the model folder again, or train the model again"


class HeldOut(Described):
    """How a model did on places that it had not seen.

    Attributes
    ----------
    balanced_accuracy : float
        Mean over the classes of the share of their tiles that were recognised.
    confusion_matrix : tuple of tuples of int
        Row: true class, column: predicted class, in the order of the classes; empty where nothing was tested yet.
    metrics : dict
        Further ones by name: auroc, f1, brier, ece.
    split : SplitInfo
        How the places were held out.
    place_m2 : float or None
        Ground of one of them, the median of the convex hulls of their tiles; None where nobody knows where tiles lie.
    """

    balanced_accuracy: Share
    confusion_matrix: tuple[tuple[Count, ...], ...]
    metrics: dict[Line, NumberOrNone] = Field(default_factory=dict)
    split: SplitInfo
    place_m2: Positive | None = None


class Calibration(Described):
    """How the probabilities were made to mean what they say, on groups of the training side that were held out in turn.

    Attributes
    ----------
    method : {"temperature", "vector"}
        Whether logits are divided by one number, or scaled and shifted by class.
    tiles : int
        Predictions that it was fitted to.
    groups : int
        Groups that were held out in turn; 0 where single tiles were.
    ece_before, ece_after : float
        Expected calibration error of those predictions, from 0 to 1.
    """

    method: Literal["temperature", "vector"]
    tiles: Count
    groups: Count
    ece_before: Share
    ece_after: Share


class Positions(Described):
    """How a head looks at the positions of a tile.

    Attributes
    ----------
    features : int
        Numbers that describe a position.
    stride_px : int
        Side of a position, in pixels of what the backbone is shown.
    sharpness : float or None
        The r of the log-sum-exp by which the logits of positions make those of a tile, of a multiple-instance head; None of a
        segmentation head, to which a tile is the mean of its positions.
    """

    features: Annotated[int, Field(ge=1, le=1 << 16)]
    stride_px: Side
    sharpness: Positive | None

    @property
    def head(self) -> Literal["multiple-instance", "segmentation"]:
        """Of which kind the head is."""
        return "segmentation" if self.sharpness is None else "multiple-instance"


class ModelInfo(Described):
    """What ``model.json`` says.

    Attributes
    ----------
    schema_version : int
        Version of the file's layout.
    arm : str
        How it was trained.
    backbone : str
        timm's name.
    backbone_options : dict
        Further arguments of ``timm.create_model``.
    classes : tuple of str
        Names in the order of their numbers.
    image_size_px : int
        Side of what the backbone is shown; tiles are resized to it.
    tile_size_px : int
        Side of a tile at ``gsd_m``.
    gsd_m : float or None
        Ground sample distance that the model was trained on, in metres; None where nobody knew it.
    dtype : {"uint8", "uint16", "float32"}
        Of the tiles.
    mean, std : tuple of float
        Per band: of values from 0 to 1 where tiles are of uint8, else in the tiles' own units.
    head : {"linear", "multiple-instance", "segmentation"}
        Whether a classifier looks at the features of a whole tile, or at each of its positions; of these, whether it learned
        from the labels of tiles, or from masks.
    positions : Positions or None
        Of a head that looks at positions.
    unit_features : bool
        Whether features are scaled to length 1 ahead of the classifier.
    views : {1, 4, 8}
        Ways to turn and mirror a tile that logits are averaged over; 4 are its quarter turns.
    temperature : float
        Logits are divided by it.
    calibration : Calibration or None
        Where the temperature came from; None where probabilities are as the training left them.
    training_counts : dict
        Tiles per class.
    equal_prior : bool
        Whether probabilities hold for ground where classes are equally common, as those by the nearest mean do, rather than as
        common as in training.
    target : {"presence", "cover"}
        What is said of a tile: the probability of each class, or the share of it that the second class covers.
    min_cover : float or None
        Share of a tile from which on it is of a class, by the rule of the labels; None where they do not go by cover.
    held_out : HeldOut
        How it did on places that it had not seen.
    notes : tuple of str
        What is to be said of the tiles and of the training.
    """

    schema_version: known_version(1) = 1  # type: ignore[valid-type]
    arm: Line = "probe"
    backbone: Annotated[str, Field(pattern=r"^\w+(\.\w+)?$")]
    backbone_options: BackboneArguments = Field(default_factory=dict)
    classes: ClassNames
    image_size_px: Side
    tile_size_px: Side
    gsd_m: Gsd | None
    dtype: Literal["uint8", "uint16", "float32"] = "uint8"
    mean: Annotated[tuple[Finite, ...], Field(min_length=1, max_length=1024)]
    std: Annotated[tuple[Positive, ...], Field(min_length=1, max_length=1024)]
    head: Literal["linear", "multiple-instance", "segmentation"] = "linear"
    positions: Positions | None = None
    unit_features: bool = False
    views: Literal[1, 4, 8] = 1
    temperature: Positive = 1.0
    calibration: Calibration | None = None
    training_counts: dict[str, Count]
    equal_prior: bool = False
    target: Literal["presence", "cover"] = "presence"
    min_cover: Share | None = None
    held_out: HeldOut
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _belongs_together(self) -> ModelInfo:
        if len(self.std) != len(self.mean):
            raise ValueError(f"mean is of {len(self.mean)} bands, std of {len(self.std)}")
        if tuple(self.training_counts) != self.classes:
            raise ValueError("training_counts are not of the classes, in their order")
        if self.target == "cover" and (self.min_cover is None or len(self.classes) != 2):
            raise ValueError("a model of cover is of two classes, and says from which min_cover on a tile is of the second")
        if not all(self.training_counts.values()):
            raise ValueError("training_counts says of a class that it was not in training")
        if (self.positions is None) is (self.head != "linear"):
            raise ValueError(f"a {self.head} head has {'no ' if self.positions is None else ''}positions")
        if self.positions is not None and self.positions.head != self.head:
            raise ValueError(f"a {self.head} head has {'no ' if self.positions.sharpness is None else ''}sharpness")
        if self.head == "segmentation" and self.target != "cover":
            raise ValueError("a segmentation head is of cover")
        if self.positions is not None and self.image_size_px % self.positions.stride_px:
            raise ValueError(f"positions of {self.positions.stride_px} px do not divide an image of {self.image_size_px}")
        matrix = self.held_out.confusion_matrix
        if matrix and {len(matrix), *map(len, matrix)} != {len(self.classes)}:
            raise ValueError(f"held_out.confusion_matrix is not of {len(self.classes)} classes")
        return self

    @property
    def bands(self) -> int:
        """How many bands a tile has."""
        return len(self.mean)

    @property
    def prior(self) -> dict[str, float]:
        """Which shares of the classes the probabilities hold for."""
        total = sum(self.training_counts.values())
        return {
            name: 1 / len(self.classes) if self.equal_prior else count / total for name, count in self.training_counts.items()
        }

    @property
    def cells(self) -> int:
        """How many cells in a row a tile has that something is said of: positions of a head that looks at these, else one."""
        return 1 if self.positions is None else self.image_size_px // self.positions.stride_px

    @property
    def halo(self) -> int:
        """How many cells at a tile's rim see too little around them to be mapped by it.

        Even, since the coarser stage of a backbone has positions of two cells.
        """
        return round(self.cells / 16) * 2

    def predicted(self, said: NDArray[np.floating[Any]]) -> NDArray[np.intp]:
        """Return the class number of tiles.

        Parameters
        ----------
        said : ndarray of float, shape (n, classes)
            Probabilities; of a model of cover, the shares of a tile that are not and that are covered.
        """
        if self.target == "cover":
            assert self.min_cover is not None  # as it was looked at
            return np.asarray((said[:, 1] >= self.min_cover) & (said[:, 1] > 0), np.intp)
        return np.asarray(said.argmax(axis=1))


def read_model_info(folder: str | Path) -> ModelInfo:
    """Read ``model.json`` of a model folder.

    Parameters
    ----------
    folder : str or pathlib.Path
        Or ``hf://OWNER/NAME[@REVISION]``, a model on the Hugging Face Hub; see
        :func:`spurgekit.classify.model_sources.find_model`.

    Returns
    -------
    ModelInfo

    Raises
    ------
    ModelError
        If there is none, or it is damaged.
    HubError
        If it is on the Hub, and cannot be had.
    """
    folder = find_model(folder, weights=False).folder
    file = folder / DESCRIPTION
    if not file.is_file():
        what = "holds no model.json" if folder.is_dir() else "does not exist"
        raise ModelError(f"{folder} {what}; make a model with 'spurgekit train'")
    info = read_described(file, ModelInfo, REMEDY, error=ModelError)
    tested = dict(zip(info.classes, map(sum, info.held_out.confusion_matrix), strict=False))
    if untested := [name for name in info.classes if not tested.get(name)]:
        raise ModelError(f"{file}: held_out.confusion_matrix has no tested tile of {shown(untested[0])}; {REMEDY}")
    return info
