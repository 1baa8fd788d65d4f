"""Mapping an orthomosaic as it is usually written: the same tiles through the same network, by other libraries.

Each is called as its documentation has it, in float32, with as large batches as ``map``. Those that are not installed are left
out; they need an environment of their own beside this one's packages:

    uv venv --python .venv/bin/python /tmp/peers
    python -c "import site; print(site.getsitepackages()[0])" > /tmp/peers/lib/python3.11/site-packages/main.pth
    uv pip install --python /tmp/peers/bin/python --no-deps torchgeo supervision geoai-py geodeep einops kornia kornia-rs \
        lightning lightning-utilities pytorch-lightning torchmetrics segmentation-models-pytorch
    /tmp/peers/bin/python -m tests.benchmarks.bench_map --peers
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
import torch.nn.functional as nnf
from numpy.typing import NDArray
from rasterio.windows import Window as RasterioWindow
from torch import nn
from torch.utils.data import DataLoader, Dataset

from spurgekit.classify import OnnxOptions, export_model

IMAGE_PX = 224
"""Side that tiles are shown at."""


@dataclass(frozen=True, slots=True)
class PeerTask:
    """What is to be mapped.

    Attributes
    ----------
    site : pathlib.Path
        GeoTIFF of red, green, blue and alpha.
    model : pathlib.Path
        Folder of the model that ``network`` is of.
    network : torch.nn.Module
        Logits of two classes from images [n, 3, 224, 224].
    device : torch.device
    tile_px, batch, workers : int
    folder : pathlib.Path
        For what is written.
    """

    site: Path
    model: Path
    network: nn.Module
    device: torch.device
    tile_px: int
    batch: int
    workers: int
    folder: Path

    @torch.inference_mode()
    def probabilities(self, tiles: torch.Tensor) -> NDArray[np.float32]:
        """Return class probabilities of tiles [n, bands, h, w] of 0 to 255, of which the first three bands are looked at."""
        return np.asarray(self.network(normalised(tiles[:, :3].float().to(self.device))).softmax(dim=1).cpu().numpy())


def normalised(tiles: torch.Tensor) -> torch.Tensor:
    """Return tiles [n, 3, h, w] of 0 to 255 resized, from -1 to 1."""
    resized = nnf.interpolate(tiles / 255, size=(IMAGE_PX, IMAGE_PX), mode="bilinear", antialias=True)
    return (resized - 0.5) / 0.5


class WindowDataset(Dataset[torch.Tensor]):
    """Tiles of an orthomosaic, each read on its own, as a dataset of windows is usually written."""

    def __init__(self, site: Path, tile_px: int) -> None:
        self.site, self.tile_px = site, tile_px
        with rasterio.open(site) as file:
            self.columns, self.rows = int(file.width) // tile_px, int(file.height) // tile_px
        self.file: rasterio.DatasetReader | None = None

    def __len__(self) -> int:
        return self.columns * self.rows

    def __getitem__(self, number: int) -> torch.Tensor:
        if self.file is None:  # handles do not travel to workers
            self.file = rasterio.open(self.site)
        row, column = divmod(number, self.columns)
        window = RasterioWindow(column * self.tile_px, row * self.tile_px, self.tile_px, self.tile_px)
        return torch.from_numpy(self.file.read([1, 2, 3], window=window))


def by_loader(task: PeerTask) -> int:
    """Map with rasterio and PyTorch's ``DataLoader``, and return how many tiles were looked at, as all of these do."""
    loader = DataLoader(WindowDataset(task.site, task.tile_px), batch_size=task.batch, num_workers=task.workers)
    return sum(len(task.probabilities(batch)) for batch in loader)


def by_torchgeo(task: PeerTask) -> int:
    """Map with torchgeo's ``GridGeoSampler``."""
    datasets, samplers = (importlib.import_module(f"torchgeo.{name}") for name in ("datasets", "samplers"))
    site = datasets.RasterDataset(paths=str(task.site))
    sampler = samplers.GridGeoSampler(site, size=task.tile_px, stride=task.tile_px)
    loader = DataLoader(
        site, batch_size=task.batch, sampler=sampler, num_workers=task.workers, collate_fn=datasets.stack_samples
    )
    return sum(len(task.probabilities(batch["image"])) for batch in loader)


def by_supervision(task: PeerTask) -> int:
    """Map with supervision's ``InferenceSlicer`` on the open file: a detection for each slice."""
    supervision = importlib.import_module("supervision")
    looked = 0

    def detect(slices: list[NDArray[np.uint8]]) -> list[Any]:
        nonlocal looked
        looked += len(slices)
        found = task.probabilities(torch.from_numpy(np.stack(slices)).permute(0, 3, 1, 2))
        box = np.array([[0, 0, task.tile_px, task.tile_px]], np.float32)
        return [supervision.Detections(xyxy=box, confidence=one.max()[None], class_id=one.argmax()[None]) for one in found]

    slicer = supervision.InferenceSlicer(
        detect, slice_wh=task.tile_px, overlap_wh=0, overlap_filter="none", batch_size=max(2, task.batch)
    )
    with rasterio.open(task.site) as file:
        slicer(file)
    return looked


class _Dense(nn.Module):
    """A classifier as geoai takes models: what it says of an image, at each pixel of it."""

    def __init__(self, task: PeerTask) -> None:
        super().__init__()
        self.task, self.looked = task, 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.looked += len(images)
        found = torch.from_numpy(self.task.probabilities(images * 255))
        return found[:, :, None, None].expand(-1, -1, *images.shape[-2:])


def by_geoai(task: PeerTask) -> int:
    """Map with geoai's ``predict_geotiff``, without overlap and turns, so that it looks as often."""
    inference = importlib.import_module("geoai.inference")
    model, out = _Dense(task), task.folder / "geoai.tif"
    inference.predict_geotiff(
        model, str(task.site), str(out), tile_size=task.tile_px, overlap=0, batch_size=task.batch, input_bands=[1, 2, 3],
        num_classes=2, blend_mode="none", device=str(task.device), verbose=False,
    )  # fmt: skip
    out.unlink()
    return model.looked


def by_geodeep(task: PeerTask) -> int:
    """Map with GeoDeep, by the file that ``spurgekit model export --for deepness`` writes; it looks at one tile at a time."""
    geodeep, sliding, inference = (importlib.import_module(f"geodeep{part}") for part in ("", ".slidingwindow", ".inference"))
    file = task.folder / "geodeep.onnx"
    export_model(task.model, file, OnnxOptions(reader="deepness", views=1), overwrite=True)
    geodeep.segment(str(task.site), str(file))
    side_px, overlap = (inference.create_session(str(file))[1][name] for name in ("tiles_size", "tiles_overlap"))
    with rasterio.open(task.site) as opened:
        windows = sliding.generate_for_size(opened.width, opened.height, side_px, overlap / 100, clip=False)
    return int(len(windows) * (side_px // task.tile_px) ** 2)


PEERS: dict[str, tuple[str, Callable[[PeerTask], int]]] = {
    "rasterio, DataLoader": ("torch", by_loader),
    "torchgeo": ("torchgeo", by_torchgeo),
    "supervision": ("supervision", by_supervision),
    "geoai": ("geoai", by_geoai),
    "GeoDeep": ("geodeep", by_geodeep),
}
"""The package that each needs, and how it maps."""


def installed() -> dict[str, Callable[[PeerTask], int]]:
    """Return those whose package is there."""
    return {name: by for name, (package, by) in PEERS.items() if importlib.util.find_spec(package) is not None}
