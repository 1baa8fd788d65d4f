"""A model folder: ``model.safetensors``, ``model.json`` and a model card. Never a pickle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from spurgekit.classify.backbone import make_backbone
from spurgekit.classify.info import DESCRIPTION, ModelInfo, read_model_info
from spurgekit.classify.network import Network
from spurgekit.classify.preprocess import Preprocess
from spurgekit.classify.tiles import Pixels
from spurgekit.errors import ModelError

WEIGHTS = "model.safetensors"


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
        self._preprocess = Preprocess(info.image_size_px, info.mean, info.std, device, info.dtype)

    @torch.inference_mode()
    def predict(self, tiles: Pixels) -> NDArray[np.float32]:
        """Return class probabilities.

        Parameters
        ----------
        tiles : ndarray, shape (n, bands, height, width)
            Of the model's dtype, at its ground sample distance; see :mod:`spurgekit.classify.tiles` for pixels without data.

        Returns
        -------
        ndarray of float32, shape (n, classes)
        """
        logits = self._network.averaged(self._preprocess(tiles), self.info.views)
        return np.asarray((logits / self.info.temperature).softmax(dim=1).cpu().numpy(), dtype=np.float32)


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
        info.backbone,
        options=info.backbone_options,
        image_size_px=info.image_size_px,
        num_classes=len(info.classes),
        bands=info.bands,
    )
    try:
        network.load_state_dict(load_file(folder / WEIGHTS))
    except (SafetensorError, FileNotFoundError, RuntimeError) as error:
        raise ModelError(
            f"{folder / WEIGHTS} is missing, damaged, or does not fit {DESCRIPTION}; train the model again"
        ) from error
    return TileClassifier(info, network, choose_device(device), folder)
