"""A model folder: ``model.safetensors``, ``model.json`` and a model card. Never a pickle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from spurgekit.augment.turns import turned
from spurgekit.classify.backbone import make_backbone
from spurgekit.classify.info import ModelInfo
from spurgekit.classify.network import Network
from spurgekit.classify.preprocess import Preprocess
from spurgekit.errors import ModelError

WEIGHTS = "model.safetensors"
DESCRIPTION = "model.json"


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
        self._network = Network(network, unit_features=info.unit_features).to_device(device).eval()
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
        images = self._preprocess(tiles)
        logits = torch.stack([self._network(turned(images, view)) for view in range(self.info.views)]).mean(dim=0)
        return np.asarray((logits.float() / self.info.temperature).softmax(dim=1).cpu().numpy(), dtype=np.float32)


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
