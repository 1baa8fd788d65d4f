"""What ``model.json`` says of a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spurgekit.dataset.split_info import SplitInfo
from spurgekit.errors import ModelError

DESCRIPTION = "model.json"


class HeldOut(BaseModel):
    """How a model did on places that it had not seen.

    Attributes
    ----------
    balanced_accuracy : float
        Mean over the classes of the share of their tiles that were recognised.
    confusion_matrix : tuple of tuples of int
        Row: true class, column: predicted class, in the order of the classes.
    metrics : dict
        Further ones by name: auroc, f1, brier, ece.
    split : SplitInfo
        How the places were held out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    balanced_accuracy: float
    confusion_matrix: tuple[tuple[int, ...], ...]
    metrics: dict[str, float] = {}
    split: SplitInfo


class Calibration(BaseModel):
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

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["temperature", "vector"]
    tiles: int
    groups: int
    ece_before: float
    ece_after: float


class ModelInfo(BaseModel):
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
    unit_features : bool
        Whether features are scaled to length 1 ahead of the classifier.
    views : {1, 8}
        Whether logits are averaged over the 8 ways to turn and mirror a tile.
    temperature : float
        Logits are divided by it.
    calibration : Calibration or None
        Where the temperature came from; None where probabilities are as the training left them.
    training_counts : dict
        Tiles per class; the probabilities hold for ground where the classes have these shares.
    held_out : HeldOut
        How it did on places that it had not seen.
    notes : tuple of str
        What is to be said of the tiles and of the training.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    schema_version: int = 1
    arm: str = "probe"
    backbone: str
    backbone_options: dict[str, Any] = Field(default_factory=dict)
    classes: tuple[str, ...]
    image_size_px: int
    tile_size_px: int
    gsd_m: float | None
    dtype: Literal["uint8", "uint16", "float32"] = "uint8"
    mean: tuple[float, ...]
    std: tuple[float, ...]
    unit_features: bool = False
    views: Literal[1, 8] = 1
    temperature: float = 1.0
    calibration: Calibration | None = None
    training_counts: dict[str, int]
    held_out: HeldOut
    notes: tuple[str, ...] = ()

    @property
    def bands(self) -> int:
        """How many bands a tile has."""
        return len(self.mean)


def read_model_info(folder: str | Path) -> ModelInfo:
    """Read ``model.json`` of a model folder.

    Parameters
    ----------
    folder : str or pathlib.Path

    Returns
    -------
    ModelInfo

    Raises
    ------
    ModelError
        If there is none, or it is damaged.
    """
    file = Path(folder) / DESCRIPTION
    if not file.is_file():
        what = "holds no model.json" if Path(folder).is_dir() else "does not exist"
        raise ModelError(f"{folder} {what}; make a model with 'spurgekit train'")
    try:
        return ModelInfo.model_validate_json(file.read_text(encoding="utf-8"))
    except ValidationError as error:
        first = error.errors()[0]
        raise ModelError(f"{file}: {'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}") from error
