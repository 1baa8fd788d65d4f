"""A model folder: ``model.safetensors``, ``model.json`` and a model card. Never a pickle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as nnf
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from spurgekit.classify.backbone import make_backbone
from spurgekit.errors import ModelError

WEIGHTS = "model.safetensors"
DESCRIPTION = "model.json"


class HeldOut(BaseModel):
    """How a model did on places that it had not seen.

    Attributes
    ----------
    balanced_accuracy : float
        Mean over the classes of the share of their tiles that were recognised.
    confusion_matrix : tuple of tuples of int
        Row: true class, column: predicted class, in the order of the classes.
    split : dict
        How the places were held out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    balanced_accuracy: float
    confusion_matrix: tuple[tuple[int, ...], ...]
    split: dict[str, Any]


class ModelInfo(BaseModel):
    """What ``model.json`` says.

    Attributes
    ----------
    backbone : str
        timm's name.
    backbone_options : dict
        Further arguments of ``timm.create_model``.
    classes : tuple of str
    image_size_px : int
        Side of what the backbone is shown; tiles are resized to it.
    tile_size_px : int
        Side of a tile at ``gsd_m``.
    gsd_m : float or None
        Ground sample distance that the model was trained on, in metres; None where nobody knew it.
    mean, std : tuple of float
        Per band, of values from 0 to 1.
    temperature : float
        Logits are divided by it.
    training_counts : dict
        Tiles per class; the probabilities hold for ground where the classes have these shares.
    held_out : HeldOut
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    schema_version: int = 1
    backbone: str
    backbone_options: dict[str, Any] = Field(default_factory=dict)
    classes: tuple[str, ...]
    image_size_px: int
    tile_size_px: int
    gsd_m: float | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    temperature: float = 1.0
    training_counts: dict[str, int]
    held_out: HeldOut


class Preprocess:
    """Tiles as a backbone wants them: on its device, resized, normalised. Training and mapping use the same.

    Parameters
    ----------
    size_px : int
        Side to resize to.
    mean, std : sequence of float
        Per band, of values from 0 to 1.
    device : torch.device
    """

    def __init__(self, size_px: int, mean: tuple[float, ...], std: tuple[float, ...], device: torch.device) -> None:
        self.size_px = size_px
        self.device = device
        # One value for each byte of an image's row: broadcasting along rows is ten times as fast as along bands.
        self._scale = (1 / (255 * torch.tensor(std))).repeat(size_px).to(device)
        self._shift = (torch.tensor(mean) / torch.tensor(std)).repeat(size_px).to(device)
        self._buffer: Tensor | None = None

    def __call__(self, tiles: NDArray[np.uint8]) -> Tensor:
        """Return float32 [n, bands, size, size] in channels-last order, from uint8 [n, bands, h, w].

        The bytes travel to the device and become floats there; the result holds until the next call. Pixels without data
        (0 in all bands, as everything here writes them) take the mean colour of the rest of their tile, since black would
        look like shadow to the model.
        """
        images = _fill_no_data(torch.from_numpy(tiles).to(self.device))
        if images.shape[-1] != self.size_px:
            images = _resize(images, self.size_px)
        rows = images.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1).flatten(2).flatten(0, 1)
        # Large blocks of memory are slow to get anew (page faults), so one is kept.
        if self._buffer is None or self._buffer.shape != rows.shape:
            self._buffer = torch.empty(rows.shape, device=self.device)
        normalised = self._buffer.copy_(rows).mul_(self._scale).sub_(self._shift)
        return normalised.view(len(images), self.size_px, self.size_px, -1).permute(0, 3, 1, 2)


def _fill_no_data(images: Tensor) -> Tensor:
    """Give pixels that are 0 in all bands the mean colour of the rest of their image; uint8 in and out, [n, bands, h, w]."""
    missing = images.amax(dim=1, keepdim=True) == 0
    if not missing.any():
        return images
    seen = (~missing).sum(dim=(2, 3), keepdim=True).clamp(min=1)
    mean = (images.sum(dim=(2, 3), keepdim=True) / seen).round().to(torch.uint8)
    return torch.where(missing, mean, images)


def _resize(images: Tensor, size_px: int) -> Tensor:
    """Resize with antialiasing. On a CPU, bytes in channels-last order take a path that is twenty times as fast as floats."""
    if images.device.type == "cpu":
        images = images.contiguous(memory_format=torch.channels_last)
        return nnf.interpolate(images, size=(size_px, size_px), mode="bilinear", antialias=True)
    resized = nnf.interpolate(images.float(), size=(size_px, size_px), mode="bilinear", antialias=True)
    return resized.round_()  # to bytes, as on a CPU


class TileClassifier:
    """A model ready to look at tiles.

    Attributes
    ----------
    info : ModelInfo
    folder : pathlib.Path or None
        Where it was read from.
    """

    def __init__(self, info: ModelInfo, network: nn.Module, device: torch.device, folder: Path | None = None) -> None:
        self.info = info
        self.folder = folder
        self._network = network.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self._preprocess = Preprocess(info.image_size_px, info.mean, info.std, device)

    @torch.inference_mode()
    def predict(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return class probabilities.

        Parameters
        ----------
        tiles : ndarray of uint8, shape (n, bands, height, width)
            At the model's ground sample distance; 0 where there is no data.

        Returns
        -------
        ndarray of float32, shape (n, classes)
        """
        logits = self._network(self._preprocess(tiles)) / self.info.temperature
        return np.asarray(logits.softmax(dim=1).cpu().numpy(), dtype=np.float32)


def choose_device(name: str = "auto") -> torch.device:
    """Return the device of a name; ``auto`` is the GPU where there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"no device {name!r} on this machine; pass --device cpu, or auto") from error
    return device


def save_model(folder: Path, info: ModelInfo, network: nn.Module) -> None:
    """Write ``model.safetensors`` and ``model.json`` into a folder."""
    tensors = {key: value.cpu().contiguous() for key, value in network.state_dict().items()}
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    (folder / DESCRIPTION).write_text(info.model_dump_json(indent=2) + "\n", encoding="utf-8")


def load_model(folder: Path, device: str = "auto") -> TileClassifier:
    """Load a model folder.

    Raises
    ------
    ModelError
        If it is not one, or its weights do not fit its description.
    """
    folder = Path(folder)
    info = read_model_info(folder)
    network = make_backbone(
        info.backbone, options=info.backbone_options, image_size_px=info.image_size_px, num_classes=len(info.classes)
    )
    try:
        network.load_state_dict(load_file(folder / WEIGHTS))
    except (SafetensorError, FileNotFoundError, RuntimeError) as error:
        raise ModelError(
            f"{folder / WEIGHTS} is missing, damaged, or does not fit {DESCRIPTION}; train the model again"
        ) from error
    return TileClassifier(info, network, choose_device(device), folder)


def read_model_info(folder: Path) -> ModelInfo:
    """Read ``model.json`` of a model folder."""
    file = Path(folder) / DESCRIPTION
    if not file.is_file():
        what = "holds no model.json" if Path(folder).is_dir() else "does not exist"
        raise ModelError(f"{folder} {what}; make a model with 'spurgekit train'")
    try:
        return ModelInfo.model_validate_json(file.read_text(encoding="utf-8"))
    except ValidationError as error:
        first = error.errors()[0]
        raise ModelError(f"{file}: {'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}") from error
