"""Mapping a site against the bare model: images per second on the same batch size.

    python -m tests.benchmarks.bench_map [--size 12000] [--backbones resnet50 NAME@252] [--device cuda] [--out F]
    python -m tests.benchmarks.bench_map --peers [--cpu-time]
    python -m tests.benchmarks.bench_map --openvino [--cpu-time]

Each map is held against the bare model right before and right after it, since the machine's own rate drifts; the bare model
counts in what the map does, from one batch that is ready. A last map has a network that takes no time: as fast as that tiles
come to a GPU, which resizes them, too. With ``--peers`` the same tiles go through the same model as other
libraries do it, as far as these are installed (:mod:`tests.benchmarks.map_peers`), in float32. With ``--openvino`` each map is
made once more with its network run by OpenVINO. Backbones are shown tiles of 224 px, or as the name says behind an ``@``.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spurgekit.classify.classifier import TileClassifier, save_model
from spurgekit.classify.model_info import HeldOut, ModelInfo
from spurgekit.classify.timm_backbone import make_backbone
from spurgekit.dataset.split_info import SplitInfo
from spurgekit.maps import MapOptions, load_map_model, map_site
from spurgekit.parallel import cores
from spurgekit.precision import autocast, put_on
from tests.benchmarks.diffusion.clock import describe, seconds_of
from tests.benchmarks.figures import Rows
from tests.benchmarks.map_peers import IMAGE_PX, PeerTask, installed
from tests.benchmarks.sites import make_orthomosaic

WARM_PX = 1000
"""Side of the site that is mapped first, for imports and a warm machine."""


def make_model(folder: Path, backbone: str, tile_px: int, image_px: int = IMAGE_PX) -> Path:
    """Write a model folder with random weights, which take as long as trained ones."""
    folder.mkdir()
    info = ModelInfo(
        backbone=backbone,
        classes=("absent", "present"),
        image_size_px=image_px,
        tile_size_px=tile_px,
        gsd_m=0.01,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        training_counts={"absent": 1, "present": 1},
        held_out=HeldOut(balanced_accuracy=0.5, confusion_matrix=((1, 1), (1, 1)), split=SplitInfo(by="blocks", block_m=10)),
    )
    save_model(folder, info, make_backbone(backbone, num_classes=2, image_size_px=image_px))
    return folder


@torch.inference_mode()
def bare_rate(model: TileClassifier, chosen: argparse.Namespace) -> float:
    """Return images/s of the network alone, on one batch that is ready in its memory."""
    batch_size, image_px, device = chosen.batch, model.info.image_size_px, model.device
    network = put_on(make_backbone(model.info.backbone, num_classes=2, image_size_px=image_px), device).eval()
    shape = (batch_size, 3, image_px, image_px)
    batch = torch.rand(shape, device=device).contiguous(memory_format=torch.channels_last)
    with autocast(device, model.dtype):
        network(batch)
        count = max(1, round(chosen.seconds / seconds_of(lambda: network(batch), device)))
        start = chosen.clock()
        seconds_of(lambda: [network(batch) for _ in range(count)], device)
        return float(batch_size * count / (chosen.clock() - start))


def without_network(model: TileClassifier) -> TileClassifier:
    """Return a model that says of all tiles the same, at once."""
    blind = copy(model)
    classes = len(model.info.classes)
    blind.logits = lambda tiles, *, features=False: (torch.zeros(len(tiles), classes), None)  # type: ignore[method-assign]  # noqa: ARG005
    return blind


def peer_rate(by: Callable[[PeerTask], int], task: PeerTask, chosen: argparse.Namespace) -> float:
    """Return images/s of a peer."""
    start = chosen.clock()
    looked = by(task)
    return float(looked / (chosen.clock() - start))


def measure(folder: Path, site: Path, tiles: int, model: TileClassifier, chosen: argparse.Namespace) -> dict[str, Any]:
    """Print and return the rates of a backbone, and their ratio."""
    backbone, options = model.info.backbone, MapOptions(batch_size=chosen.batch, stride_px=chosen.stride)
    map_site(make_orthomosaic(folder / "warm.tif", WARM_PX), model, folder / "warm", options)
    bare, mapped = [bare_rate(model, chosen)], []
    peers: dict[str, list[float]] = {}
    by_openvino: list[float] = []
    other = model.run_by("openvino") if chosen.openvino else model
    assert model.folder is not None
    network = make_backbone(backbone, num_classes=2, image_size_px=model.info.image_size_px).to(model.device).eval()
    task = PeerTask(site, model.folder, network, model.device, chosen.tile, chosen.batch, chosen.workers, folder)
    for i in range(chosen.rounds):
        start = chosen.clock()
        map_site(site, model, folder / f"map{i}", options)
        mapped.append(tiles / (chosen.clock() - start))
        if chosen.openvino:
            start = chosen.clock()
            map_site(site, other, folder / f"openvino{i}", options)
            by_openvino.append(tiles / (chosen.clock() - start))
        if chosen.peers:
            for name, by in installed().items():
                peers.setdefault(name, []).append(peer_rate(by, task, chosen))
        bare.append(bare_rate(model, chosen))
    start = chosen.clock()
    map_site(site, without_network(model), folder / "blind", options)
    fed = tiles / (chosen.clock() - start)
    ratios = [float(rate / np.mean(bare[i : i + 2])) for i, rate in enumerate(mapped)]
    looked = f"{backbone} at {model.info.image_size_px} px in {model.precision}, batch {chosen.batch}"
    print(f"{looked}, {tiles:,} tiles of {chosen.tile} px, {cores()} cores")
    for what, values in (("bare model", bare), ("spurgekit map", mapped), ("without a network", [fed]), *peers.items()):
        print(f"{what:23s} {np.median(values):7.1f} images/s   (rounds: {_listed(values, 1)})")
    print(f"map / bare model  {np.median(ratios):.2f}   (rounds: {_listed(ratios, 2)})", flush=True)
    for what, values in peers.items():
        print(f"map / {what}  {np.median(np.divide(mapped, values)):.2f}", flush=True)
    if chosen.openvino:
        ratios = np.divide(by_openvino, mapped).tolist()
        print(f"map by OpenVINO / map  {np.median(ratios):.2f}   (rounds: {_listed(ratios, 2)})", flush=True)
    return {
        "backbone": backbone, "batch": chosen.batch, "tiles": tiles, "bare_images_s": bare, "map_images_s": mapped,
        "share_of_model": float(np.median(ratios)), "precision": model.precision, "peers_images_s": peers,
        "openvino_images_s": by_openvino, "without_network_tiles_s": fed,
    }  # fmt: skip


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=12_000, help="pixels a side")
    parser.add_argument("--tile", type=int, default=100, help="pixels a side of a tile")
    parser.add_argument("--stride", type=int, help="pixels a side of a cell (default: a tile's)")
    parser.add_argument("--backbones", nargs="+", default=["mobilenetv2_035"], help="of timm, each as NAME or NAME@PX")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=MapOptions().batch_size)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0, help="for each measurement of the bare model")
    parser.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default="auto")
    parser.add_argument("--peers", action="store_true", help="measure how it is usually written as well")
    parser.add_argument("--openvino", action="store_true", help="measure maps by OpenVINO as well")
    parser.add_argument("--workers", type=int, default=0, help="of the peers' DataLoader")
    parser.add_argument(
        "--cpu-time", action="store_true", help="count the seconds of this process, on a machine that others use"
    )
    parser.add_argument("--out", type=Path, help="JSON file to write")
    chosen = parser.parse_args()
    backbones = [(name, int(px or IMAGE_PX)) for name, _, px in (text.partition("@") for text in chosen.backbones)]
    if chosen.peers and any(px != IMAGE_PX for _, px in backbones):
        parser.error(f"peers show tiles of {IMAGE_PX} px")
    chosen.clock = time.process_time if chosen.cpu_time else time.perf_counter
    device = torch.device(chosen.device)
    print(describe(device), flush=True)
    rows = Rows({"device": describe(device)}, "map", chosen.out)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        site = make_orthomosaic(folder / "site.tif", chosen.size)
        tiles = (-(-chosen.size // (chosen.stride or chosen.tile))) ** 2
        for backbone, image_px in backbones:
            own = folder / backbone
            own.mkdir()
            made = make_model(own / "model", backbone, chosen.tile, image_px)
            model = load_map_model(made, chosen.device, precision=chosen.precision)
            rows.add(**measure(own, site, tiles, model, chosen))


def _listed(values: Sequence[float], digits: int) -> str:
    return ", ".join(f"{value:.{digits}f}" for value in values)


if __name__ == "__main__":
    main()
